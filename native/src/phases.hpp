// One direction of a convolution, taken apart into positions that read alike: with the same kernel, or each with one of its own,
// and, where a gradient goes back through a stride, the same taps. Neighbours in such a phase are equally spaced in what is read,
// in what is written, and in the weights.
#pragma once

#include "convarium.h"
#include "kernel.hpp"
#include "memory.hpp"

namespace cv::CV_ISA {

// Whether each position has a kernel of its own in this direction.
inline bool is_local(const cv_axis& axis) { return axis.tile == axis.output; }

// Whether each position's kernel is its own.
inline bool are_own(const cv_problem& p) { return is_local(p.axes[0]) && is_local(p.axes[1]) && is_local(p.axes[2]); }

struct Run;
struct Runs {
  const Run *first, *last;
  const Run* begin() const { return first; }
  const Run* end() const { return last; }
};

// Position q of a phase is `first + q * step` of what is written; its tap i reads `from[i] + q * across`, and its weight is
// `weight[i] + q * weights`.
struct Phase {
  i64 first, step, count, across, weights, taps;
  const i64 *weight, *from;
  Runs runs;
};

// Positions of a phase, from `begin` on, of which taps low to high meet what is read.
struct Run {
  const Phase* phase;
  i64 begin, count, low, high;
};

class Direction {
 public:
  // Forward: an output reads inputs. Back: an input reads the gradients of the outputs that have read it. No run has more than
  // `longest` positions; 0: there are none. `apart`: positions whose kernels are their own are no neighbours.
  Direction(const cv_axis& axis, bool back, i64 longest, bool apart = false)
      : size_(back ? axis.output : axis.size),
        own_(is_local(axis) && !apart),
        tile_(own_ ? 1 : axis.tile),
        n_phases_(tile_ * (back ? axis.stride : 1)),
        phases_(n_phases_),
        tables_(2 * tile_ * axis.kernel),
        runs_(!longest ? 0
              : back   ? axis.size
                       : axis.output) {
    if (!*this) return;
    const i64 written = back ? axis.size : axis.output, step = tile_ * (back ? axis.stride : 1);
    const i64 across = tile_ * (back ? 1 : axis.stride), weights = own_ ? axis.tile_step : 0;
    i64 *weight = tables_.get(), *from = weight + tile_ * axis.kernel;
    for (i64 r = 0; r < step; ++r) {
      Phase& phase = phases_.get()[r];
      phase = {r, step, (written - r + step - 1) / step, across, weights, 0, weight, from, {}};
      for (i64 m = 0; m < axis.kernel; ++m) {
        const i64 at = back ? r - axis.begin - m * axis.dilation : r * axis.stride + axis.begin + m * axis.dilation;
        if (back && at % axis.stride) continue;
        const i64 read = back ? at / axis.stride : at;
        const i64 kernel = !back ? r : own_ ? read : ((read % tile_) + tile_) % tile_;
        *weight++ = m * axis.tap_step + kernel * axis.tile_step;
        *from++ = read;
        ++phase.taps;
      }
      if (longest) add_runs(phase, longest);
    }
  }
  explicit operator bool() const { return phases_ && tables_ && runs_; }
  const Run* begin() const { return runs_.get(); }
  const Run* end() const { return runs_.get() + count_; }
  i64 count() const { return count_; }
  i64 phases() const { return n_phases_; }
  const Phase& phase(i64 number) const { return phases_.get()[number]; }

 private:
  void add_runs(Phase& phase, i64 longest) {
    phase.runs.first = end();
    for (i64 q = 0; q < phase.count;) {
      Run run{&phase, q, 0, 0, 0};
      meet(phase, q, run.low, run.high);
      for (i64 low = run.low, high = run.high; low == run.low && high == run.high;) {
        ++run.count;
        if (++q == phase.count) break;
        meet(phase, q, low, high);
      }
      const i64 pieces = (run.count + longest - 1) / longest, all = run.count;
      for (i64 piece = 0; piece < pieces; ++piece) {
        const i64 begin = all * piece / pieces;
        runs_.get()[count_++] = {&phase, run.begin + begin, all * (piece + 1) / pieces - begin, run.low, run.high};
      }
    }
    phase.runs.last = end();
  }

  // What a phase reads is in order, so taps that meet it are neighbours.
  void meet(const Phase& phase, i64 q, i64& low, i64& high) const {
    const auto inside = [&](i64 i) { return phase.from[i] + q * phase.across >= 0 && phase.from[i] + q * phase.across < size_; };
    for (low = 0; low < phase.taps && !inside(low);) ++low;
    for (high = phase.taps; high > low && !inside(high - 1);) --high;
  }

  i64 size_;
  bool own_;
  i64 tile_;  // of positions that share kernels
  i64 count_ = 0, n_phases_;
  Buffer<Phase> phases_;
  Buffer<i64> tables_;
  Buffer<Run> runs_;
};

}  // namespace cv::CV_ISA
