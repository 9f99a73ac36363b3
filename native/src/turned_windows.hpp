// grad_weight where each position has a kernel of its own, with vectors over a window: rows are outputs, j runs over samples.
// Windows are turned over, a row for each sample; gradients are read where they lie.
#pragma once

#include "layout.hpp"
#include "units.hpp"

namespace cv::CV_ISA {

// Of V samples, or as many as there are, a row each: what a window reads, zeros where it is outside, and up to `step` after it.
// What a neighbour `across` reads is fetched ahead.
template <int V, class T>
inline void turn_window(const T* origin, const Window& window, const bool* inside, i64 across, i64 step, i64 samples, T* to) {
  using Vec = typename Vector<T, V>::type;
  for (i64 k = 0; k < step; k += V) {
    const auto row = [&](int r) {
      if (k + r >= window.n || !inside[k + r]) return Vec{};
      const T* const from = origin + window.input[k + r];
      __builtin_prefetch(from + across, 0, 2);
      return load<T, V>(from);
    };
    turn_rows<V>(row, samples, to + k, step);
  }
}

template <class S>
int with_turned_windows(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight,
                        int threads) {
  using T = Computed<S>;
  constexpr int V = Lanes<T>::kVector;
  const i64 lanes = lanes_of<T>(p.batch), positions = outputs_of(p), window = largest_window(p), blocks = count_of_blocks(p);
  const i64 step = (window + 2 * V - 1) / (2 * V) * (2 * V);
  Laned<T> laned(p, p.in_channels, &cv_axis::size), gradient(p, p.out_channels, &cv_axis::output);
  const i64 plane = laned.plane(), g_plane = gradient.plane();
  const i64 own_values = step * p.batch + kMostRows * 2 * V, own_places = 2 * window + p.batch;
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(own_places * threads);
  Buffer<bool> marks(window * threads);
  if (!laned || !gradient || !scratches || !tables || !marks) return CV_NO_MEMORY;
  laned.template fill<S>(p, input, threads);
  gradient.template fill<S>(p, grad_output, threads);

  const bool large = p.out_channels * positions * window * static_cast<i64>(sizeof(S)) > kPastCache;
  parallel(threads, [&](int worker, int workers) {
    T* const turned = scratches.get() + worker * own_values;
    T* const corner = turned + step * p.batch;
    i64* const places = tables.get() + worker * own_places;
    Window full{0, places, places + window};
    i64* const count_up = places + 2 * window;
    bool* const inside = marks.get() + window * worker;
    for (i64 b = 0; b < p.batch; ++b) count_up[b] = b;

    each_block(p, positions, share(blocks * positions, worker, workers), [&](const Block& block, i64 begin, i64 end) {
      const i64 n = block.n_inputs * taps_of(p), across = p.axes[2].stride * lanes;
      const Box all{{0, 0, 0}, {p.axes[0].kernel, p.axes[1].kernel, p.axes[2].kernel}};
      full.build(p, all, block.inputs, {0, block.n_inputs}, plane, lanes);
      const bool side_by_side = full.side_by_side();
      Box known{};
      for (i64 position = begin; position < end; ++position) {
        const i64 line = position / p.axes[2].output;
        const Place s{{line / p.axes[1].output, line % p.axes[1].output, position % p.axes[2].output}};
        const Box box = box_of(p, s);
        if (position == begin || !(box == known)) mark(p, box, block.n_inputs, inside);
        known = box;
        S* const kernel = static_cast<S*>(grad_weight) + kernel_of(p, s);
        const T* const origin = laned.get() + origin_of(p, s, lanes);
        for (i64 b = 0; b < p.batch;) {
          const bool whole = lanes - b >= V;
          if (whole) turn_window<V>(origin + b, full, inside, across, step, p.batch - b, turned + b * step);
          else turn_window<Lanes<T>::kLeast>(origin + b, full, inside, across, step, p.batch - b, turned + b * step);
          b += whole ? V : Lanes<T>::kLeast;
        }
        const bool met = box == all, straight = side_by_side && !p.add && !kIsHalf<S>;
        for (i64 o = 0; o < block.n_outputs;) {
          const int rows = next_rows(block.n_outputs - o);
          const T* a[kMostRows];
          S* weights[kMostRows];
          for (int m = 0; m < rows; ++m) a[m] = gradient.get() + (block.outputs[o + m] * g_plane + position) * lanes;
          for (int m = 0; m < rows; ++m) weights[m] = kernel + p.rows[block.outputs[o + m]];
          for (i64 k = 0; k < n; k += 2 * V) {
            T* out[kMostRows];
            const i64 width = n - k < 2 * V ? n - k : 2 * V;
            const bool direct = straight && width == 2 * V;
            bool past = direct && met && large;
            for (int m = 0; m < rows; ++m) out[m] = corner + m * 2 * V;
            if constexpr (!kIsHalf<S>)
              if (direct)
                for (int m = 0; m < rows; ++m) out[m] = weights[m] + full.weight[0] + k;
            for (int m = 0; m < rows; ++m) past = past && reinterpret_cast<std::uintptr_t>(out[m]) % kVectorBytes == 0;
            multiply_lanes<T>(
                width > V ? 2 * V : V, rows,
                Tile<T>{.n = p.batch, .a = a, .at = count_up, .x = turned + k, .step = step, .out = out, .past = past});
            if (direct) continue;
            for (int m = 0; m < rows; ++m)
              for (i64 i = 0; i < width; ++i) {
                S& weight = weights[m][full.weight[k + i]];
                const T sum = inside[k + i] ? corner[m * 2 * V + i] : T(0);
                weight = narrow<S>(p.add ? widen(weight) + sum : sum);
              }
          }
          if (straight && !met)  // a zero times what is no number is none
            for (int m = 0; m < rows; ++m)
              for (i64 k = 0; k < n; ++k)
                if (!inside[k]) weights[m][full.weight[k]] = S{};
          o += rows;
        }
      }
    });
    if (large) fence();
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
