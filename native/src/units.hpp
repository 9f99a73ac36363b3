// What is shared out among threads: blocks of channels, and positions in them.
#pragma once

#include "layout.hpp"
#include "memory.hpp"
#include "phases.hpp"
#include "threads.hpp"
#include "window.hpp"

namespace cv::CV_ISA {

constexpr i64 kCache = 192 * 1024;    // bytes of a core's second cache for windows; weights share the rest
constexpr i64 kSums = 192 * 1024;     // and of sums
constexpr i64 kPastCache = 16 << 20;  // bytes of a result from which on it would not be found in a cache

// One block: each of the outputs reads each of the inputs.
struct Block {
  const i64* outputs;
  i64 n_outputs;
  const i64* inputs;
  i64 n_inputs;
};

inline Block block_of(const cv_blocks& blocks, i64 number) {
  return {blocks.output_channels + number * blocks.outputs, blocks.outputs, blocks.input_channels + number * blocks.inputs,
          blocks.inputs};
}

inline i64 count_of_blocks(const cv_problem& p) {
  i64 count = 0;
  for (i64 k = 0; k < p.n_classes; ++k) count += p.classes[k].count;
  return count;
}

// Calls body(block, begin, end) for the part of `mine` in each block, of units numbered block by block, `each` to a block.
template <class F>
void each_block(const cv_problem& p, i64 each, Range mine, F body) {
  i64 first = 0;
  for (i64 k = 0; k < p.n_classes; ++k)
    for (i64 number = 0; number < p.classes[k].count; ++number, first += each) {
      const i64 begin = mine.begin > first ? mine.begin - first : 0;
      const i64 end = mine.end - first < each ? mine.end - first : each;
      if (begin < end) body(block_of(p.classes[k], number), begin, end);
    }
}

inline i64 most_outputs(const cv_problem& p) {
  i64 most = 0;
  for (i64 k = 0; k < p.n_classes; ++k)
    if (p.classes[k].outputs > most) most = p.classes[k].outputs;
  return most;
}

// Whether blocks have few outputs, so that there is little to share a window among.
inline bool are_small(const cv_problem& p) {
  i64 outputs = 0, blocks = 0;
  for (i64 k = 0; k < p.n_classes; ++k) {
    blocks += p.classes[k].count;
    outputs += p.classes[k].count * p.classes[k].outputs;
  }
  return outputs < 4 * blocks;
}

inline i64 largest_window(const cv_problem& p) {
  i64 most = 0;
  for (i64 k = 0; k < p.n_classes; ++k)
    if (p.classes[k].inputs > most) most = p.classes[k].inputs;
  return most * taps_of(p);
}

// Whether they have so many channels that vectors of outputs are the fastest way to a weight's gradient, whatever the batch.
inline bool are_large(const cv_problem& p) {
  constexpr i64 kInputs = kShort ? 16 : 32;
  return most_outputs(p) >= 16 && largest_window(p) >= kInputs * taps_of(p);
}

inline bool every_output_reads(const cv_problem& p) {
  i64 reading = 0;
  for (i64 k = 0; k < p.n_classes; ++k) reading += p.classes[k].count * p.classes[k].outputs;
  return reading == p.out_channels;
}

// In how many parts a block's inputs are taken, where there are `units` of blocks and kernels: what a part holds, of so many
// bytes for all inputs, stays near, and each thread has some.
inline i64 parts_of(const cv_problem& p, i64 units, i64 bytes, int threads) {
  const i64 near = bytes / kSums + 1, for_threads = (4 * threads - 1) / units + 1, inputs = largest_window(p) / taps_of(p);
  const i64 wanted = near > for_threads ? near : for_threads;
  return wanted < inputs ? wanted : inputs;
}

// Neighbouring positions that are worked on at once.
struct Stretch {
  Place first;
  i64 count;
  i64 across;  // positions from one of them to the next
  Box box;
};

// All of them, in the order of their kernels and so that no more than `longest` are together; where each has a kernel of its own,
// no more than `own`.
class Stretches {
 public:
  Stretches(const cv_problem& p, i64 longest, i64 own = 1)
      : d0_(p.axes[0], false, 1), d1_(p.axes[1], false, 1), d2_(p.axes[2], false, is_local(p.axes[2]) ? own : longest) {}
  explicit operator bool() const { return d0_ && d1_ && d2_; }
  i64 count() const { return d0_.count() * d1_.count() * d2_.count(); }
  Stretch operator[](i64 number) const {
    const Run& r2 = d2_.begin()[number % d2_.count()];
    const Run& r1 = d1_.begin()[number / d2_.count() % d1_.count()];
    const Run& r0 = d0_.begin()[number / d2_.count() / d1_.count()];
    const auto first = [](const Run& r) { return r.phase->first + r.begin * r.phase->step; };
    return {
        {{first(r0), first(r1), first(r2)}}, r2.count, r2.phase->step, {{r0.low, r1.low, r2.low}, {r0.high, r1.high, r2.high}}};
  }

 private:
  Direction d0_, d1_, d2_;
};

// From the weights of a stretch to those of the next, when they are worth fetching ahead: read once, from memory.
inline i64 ahead_of(const cv_problem& p, const Stretch& stretch, const Stretch& next) {
  return kernels_of(p) > 16 ? kernel_of(p, next.first) - kernel_of(p, stretch.first) : 0;
}

// A vector of samples, or two, at one position or two.
struct Vectors {
  int lanes, count;
  i64 position[2], lane[2];

  // From the first to the second, of samples that lie side by side and positions so far from each other.
  i64 next(i64 across) const { return (position[1] - position[0]) * across + lane[1] - lane[0]; }
};

// All samples of a few positions: vectors, then halves.
template <class T>
class EachVectors {
 public:
  static constexpr i64 kTogether = 4 * Lanes<T>::kMost;  // samples at most, those of all positions

  // Does nothing where it is what it was.
  void set(i64 positions, Range lanes) {
    constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
    if (positions == positions_ && lanes.begin == lanes_.begin && lanes.end == lanes_.end) return;
    positions_ = positions;
    lanes_ = lanes;
    end_ = vectors_;
    const i64 whole = (lanes.end - lanes.begin) / V * V;
    add(V, {lanes.begin, lanes.begin + whole});
    if constexpr (H < V) add(H, {lanes.begin + whole, lanes.end});
  }
  const Vectors* begin() const { return vectors_; }
  const Vectors* end() const { return end_; }

 private:
  void add(int width, Range lanes) {
    i64 left = positions_ * ((lanes.end - lanes.begin) / width);
    Vectors some{width, 0, {}, {}};
    for (i64 position = 0; position < positions_; ++position)
      for (i64 lane = lanes.begin; lane < lanes.end; lane += width) {
        some.position[some.count] = position;
        some.lane[some.count] = lane;
        --left;
        if (++some.count < 2 && left) continue;
        *end_++ = some;
        some.count = 0;
      }
  }

  Vectors vectors_[kTogether / Lanes<T>::kLeast];
  Vectors* end_ = vectors_;
  i64 positions_ = 0;
  Range lanes_{};
};

template <class T>
void zero(T* data, i64 count, int threads) {
  parallel(threads, [&](int worker, int workers) {
    const Range mine = share(count, worker, workers);
    __builtin_memset(data + mine.begin, 0, (mine.end - mine.begin) * sizeof(T));
  });
}

}  // namespace cv::CV_ISA
