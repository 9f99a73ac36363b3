// What is shared out among threads: blocks of channels, and positions in them.
#pragma once

#include "layout.hpp"
#include "memory.hpp"
#include "threads.hpp"
#include "window.hpp"

namespace cv::CV_ISA {

constexpr i64 kCache = 192 * 1024;  // bytes of a core's second cache for windows; weights share the rest

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

inline bool every_output_reads(const cv_problem& p) {
  i64 reading = 0;
  for (i64 k = 0; k < p.n_classes; ++k) reading += p.classes[k].count * p.classes[k].outputs;
  return reading == p.out_channels;
}

// From the weights of a position to those of the next, when they are worth fetching ahead: read once, from memory.
inline i64 ahead_of(const cv_problem& p, const Place& s) {
  const bool next = p.axes[2].tile > 1 && (s.at[2] + 1) % p.axes[2].tile != 0 && s.at[2] + 1 < p.axes[2].output;
  return next && kernels_of(p) > 16 ? p.axes[2].tile_step : 0;
}

// Rows of lanes, one from each place, copied side by side: vector by vector, as multiply_rows reads them.
template <class T, class F>
void gather(i64 rows, Range lanes, F from, T* to) {
  for (i64 b = lanes.begin; b < lanes.end;) {
    const int r = next_lanes<T>(lanes.end - b);
    for (i64 j = 0; j < rows; ++j, to += r) copy_lanes(r, from(j) + b, to);
    b += r;
  }
}

// out(row) (+)= sum over j of a(row)[at[j]] * x[j], for lanes of `n` rows of x that gather() made.
template <class T, class A, class Out>
void multiply_rows(i64 count, Range lanes, i64 n, const i64* at, const T* gathered, bool add, i64 ahead, A a_of, Out out_of) {
  for (i64 row = 0; row < count;) {
    const int rows = next_rows(count - row);
    const T* a[kMostRows];
    T* out[kMostRows];
    for (int m = 0; m < rows; ++m) a[m] = a_of(row + m);
    const T* x = gathered;
    for (i64 b = lanes.begin; b < lanes.end;) {
      const int r = next_lanes<T>(lanes.end - b);
      for (int m = 0; m < rows; ++m) out[m] = out_of(row + m) + b;
      multiply_lanes<T>(r, rows,
                        Tile<T>{n, a, at, x, r, out, add, ahead && b == lanes.begin ? Fetch::kA : Fetch::kNothing, ahead});
      x += n * r;
      b += r;
    }
    row += rows;
  }
}

template <class T>
void zero(T* data, i64 count, int threads) {
  parallel(threads, [&](int worker, int workers) {
    const Range mine = share(count, worker, workers);
    __builtin_memset(data + mine.begin, 0, (mine.end - mine.begin) * sizeof(T));
  });
}

}  // namespace cv::CV_ISA
