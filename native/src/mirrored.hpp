// The map back as a map forward: where positions share kernels and none is skipped, an input sums the gradients of the outputs
// that have read it, as an output sums its inputs. Only the weights lie otherwise, and are copied.
#pragma once

#include "memory.hpp"
#include "phases.hpp"
#include "threads.hpp"
#include "units.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr i64 kWorthCopying = 512;  // products of a weight

// Whether a problem has this form, and computes enough with each weight.
inline bool is_mirrored(const cv_problem& p) {
  for (const cv_axis& axis : p.axes)
    if (axis.stride > 1 || (axis.kernel > 1 && is_local(axis))) return false;
  const bool small = p.way & CV_IN_SLABS;  // as a test asks, whose problems are small
  if (!small && outputs_of(p) / kernels_of(p) * p.batch < kWorthCopying) return false;
  Buffer<bool> read(p.in_channels);
  if (!read) return false;
  __builtin_memset(read.get(), 0, p.in_channels);
  bool once = true;
  each_block(p, 1, {0, count_of_blocks(p)}, [&](const Block& block, i64, i64) {
    for (i64 i = 0; i < block.n_inputs; ++i) {
      once = once && !read.get()[block.inputs[i]];
      read.get()[block.inputs[i]] = true;
    }
  });
  return once;
}

template <class S>
class Mirrored {
 public:
  Mirrored(const cv_problem& p, const void* weight, int threads)
      : problem_(p),
        classes_(p.n_classes),
        rows_(p.in_channels),
        taps_(kernels_of(p) * taps_of(p)),
        weight_(count_of_edges(p) * kernels_of(p) * taps_of(p)) {
    if (!*this) return;
    const i64 taps = taps_of(p), kernels = kernels_of(p), all = count_of_edges(p) * taps;  // weights of a kernel
    problem_.in_channels = p.out_channels;
    problem_.out_channels = p.in_channels;
    problem_.rows = rows_.get();
    problem_.input_step = taps;
    problem_.classes = classes_.get();
    for (i64 k = 0; k < p.n_classes; ++k) {
      const cv_blocks& blocks = p.classes[k];
      classes_.get()[k] = {blocks.count, blocks.inputs, blocks.outputs, blocks.input_channels, blocks.output_channels};
    }
    i64 tap_step = 1, tile_step = all, row = 0;
    for (int d = 2; d >= 0; --d) {
      const cv_axis& axis = p.axes[d];
      problem_.axes[d] = {axis.output, axis.kernel, axis.size, 1, -axis.dilation, -axis.begin, axis.tile, tile_step, tap_step};
      tap_step *= axis.kernel;
      tile_step *= axis.tile;
    }
    each_block(p, 1, {0, count_of_blocks(p)}, [&](const Block& block, i64, i64) {
      for (i64 i = 0; i < block.n_inputs; ++i, row += block.n_outputs * taps) rows_.get()[block.inputs[i]] = row;
    });
    i64* tap = taps_.get();
    for (i64 kernel = 0; kernel < kernels; ++kernel)
      for (i64 m = 0; m < taps; ++m) *tap++ = tap_of(p, kernel, m);
    parallel(threads, [&](int worker, int workers) {
      each_block(p, 1, {0, count_of_blocks(p)}, [&](const Block& block, i64, i64) {
        const Range mine = share(block.n_inputs, worker, workers);
        for (i64 kernel = 0; kernel < kernels; ++kernel)
          for (i64 i = mine.begin; i < mine.end; ++i) {
            S* to = weight_.get() + kernel * all + rows_.get()[block.inputs[i]];
            for (i64 o = 0; o < block.n_outputs; ++o) {
              const S* const from = static_cast<const S*>(weight) + p.rows[block.outputs[o]] + i * p.input_step;
              for (i64 m = 0; m < taps; ++m) *to++ = from[taps_.get()[kernel * taps + m]];
            }
          }
      });
    });
  }
  explicit operator bool() const { return classes_ && rows_ && taps_ && weight_; }
  const cv_problem& problem() const { return problem_; }
  const S* weight() const { return weight_.get(); }

 private:
  // Of tap m of an input whose position takes turns as `kernel` does: that of the output which has read it by this tap.
  static i64 tap_of(const cv_problem& p, i64 kernel, i64 m) {
    i64 place = 0;
    for (int d = 2; d >= 0; --d) {
      const cv_axis& axis = p.axes[d];
      const i64 tap = m % axis.kernel, output = kernel % axis.tile - axis.begin - tap * axis.dilation;
      place += tap * axis.tap_step + (output % axis.tile + axis.tile) % axis.tile * axis.tile_step;
      m /= axis.kernel;
      kernel /= axis.tile;
    }
    return place;
  }

  cv_problem problem_;
  Buffer<cv_blocks> classes_;
  Buffer<i64> rows_, taps_;
  Buffer<S> weight_;
};

}  // namespace cv::CV_ISA
