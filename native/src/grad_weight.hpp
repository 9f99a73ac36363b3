// grad_weight[o, r, k] = sum over samples, and positions whose kernel is r, of grad_output * window: rows are outputs, vectors
// run over the window. Threads share out kernels, and where these are few, outputs: each weight is summed by one thread.
#pragma once

#include "accumulate.hpp"
#include "layout.hpp"
#include "own_kernels.hpp"
#include "units.hpp"

namespace cv::CV_ISA {

constexpr i64 kPastCache = 16 << 20;  // bytes of a result from which on it would not be found in a cache
constexpr i64 kSamples = 128;         // windows that are held at once

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
int grad_weight(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  constexpr int V = Lanes<T>::kVector;
  if (!count_of_blocks(p)) return CV_OK;  // there are no weights
  if (p.way & CV_NEIGHBOURS) return (are_own(p) ? sum_own<S> : accumulate<S>)(p, input, grad_output, grad_weight, threads);
  const i64 lanes = lanes_of<T>(p.batch), positions = outputs_of(p), window = largest_window(p), outputs = most_outputs(p);
  const i64 step = (window + 2 * V - 1) / (2 * V) * (2 * V), kernels = kernels_of(p);
  const bool one_position = kernels == positions;  // to a kernel
  const i64 held = p.batch > kSamples || one_position ? p.batch : kSamples;
  const i64 plane = pitch_of<T>(inputs_of(p), lanes), g_plane = pitch_of<T>(positions, lanes);
  Buffer<T> laned(p.in_channels * plane * lanes), gradient(p.out_channels * g_plane * lanes);
  const i64 own_values = step * held + outputs * held + kMostRows * 2 * V + (kIsHalf<S> ? outputs * window : 0);
  const i64 counted = held > window ? held : window, own_places = 2 * window + counted;
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(own_places * threads);
  Buffer<bool> marks(window * threads);
  if (!laned || !gradient || !scratches || !tables || !marks) return CV_NO_MEMORY;
  const Rows in_rows(p.in_channels, p.axes, &cv_axis::size, input.strides, plane != inputs_of(p));
  to_lanes(static_cast<const S*>(input.data), input.strides[0], in_rows, p.batch, lanes, laned.get(), threads, inputs_of(p),
           plane);
  const Rows out_rows(p.out_channels, p.axes, &cv_axis::output, grad_output.strides, g_plane != positions);
  to_lanes(static_cast<const S*>(grad_output.data), grad_output.strides[0], out_rows, p.batch, lanes, gradient.get(), threads,
           positions, g_plane);

  const i64 blocks = count_of_blocks(p);
  const bool large = !kIsHalf<S> && p.out_channels * kernels * window * static_cast<i64>(sizeof(T)) > kPastCache && one_position;
  i64 parts = blocks * kernels >= 4 * threads ? 1 : (4 * threads + blocks * kernels - 1) / (blocks * kernels);  // of the outputs
  parallel(threads, [&](int worker, int workers) {
    T* const values = scratches.get() + worker * own_values;
    T* const turned = values;
    T* const gradients = turned + step * held;
    T* const corner = gradients + outputs * held;
    T* const sums = corner + kMostRows * 2 * V;
    i64* const places = tables.get() + worker * own_places;
    Window full{0, places, places + window};
    i64* const count_up = places + 2 * window;
    bool* const inside = marks.get() + window * worker;
    for (i64 j = 0; j < counted; ++j) count_up[j] = j;

    each_block(p, kernels * parts, share(blocks * kernels * parts, worker, workers), [&](const Block& block, i64 begin, i64 end) {
      const i64 n = block.n_inputs * taps_of(p);
      const Box all{{0, 0, 0}, {p.axes[0].kernel, p.axes[1].kernel, p.axes[2].kernel}};
      full.build(p, all, block.inputs, {0, block.n_inputs}, plane, lanes);
      const bool side_by_side = full.side_by_side();
      for (i64 unit = begin; unit < end; ++unit) {
        const Range mine = share(block.n_outputs, static_cast<int>(unit % parts), static_cast<int>(parts));
        if (mine.begin == mine.end) continue;
        i64 phase = unit / parts;
        Place first;
        for (int d = 2; d >= 0; --d) {
          first.at[d] = phase % p.axes[d].tile;
          phase /= p.axes[d].tile;
        }
        S* const result = static_cast<S*>(grad_weight) + kernel_of(p, first);
        T* to = sums;  // of halves the sums are kept as wholes until all are there
        if constexpr (!kIsHalf<S>) to = result;
        const auto row_of = [&](i64 o) { return to + (kIsHalf<S> ? (o - mine.begin) * n : p.rows[block.outputs[o]]); };
        const i64* const at = kIsHalf<S> ? count_up : full.weight;
        bool fresh = !p.add;        // nothing is summed up yet
        i64 samples = 0, last = 0;  // windows that are held, and the last of their positions
        Box known{};
        const auto gradient_of = [&](i64 o, i64 position) {
          return gradient.get() + (block.outputs[o] * g_plane + position) * lanes;
        };

        const auto flush = [&] {
          if (!samples && !fresh) return;
          const bool straight = known == all && (kIsHalf<S> || side_by_side);
          for (i64 o = mine.begin; o < mine.end;) {
            const int rows = next_rows(mine.end - o);
            const T* a[kMostRows];
            for (int m = 0; m < rows; ++m)
              a[m] = one_position ? gradient_of(o + m, last) : gradients + (o - mine.begin + m) * held;
            for (i64 k = 0; k < n; k += 2 * V) {
              T* out[kMostRows];
              const i64 width = n - k < 2 * V ? n - k : 2 * V;
              const bool direct = straight && width == 2 * V;
              bool past = direct && fresh && large;
              for (int m = 0; m < rows; ++m) out[m] = direct ? row_of(o + m) + k : corner + m * 2 * V;
              for (int m = 0; m < rows; ++m) past = past && reinterpret_cast<std::uintptr_t>(out[m]) % kVectorBytes == 0;
              multiply_lanes<T>(width > V ? 2 * V : V, rows,
                                Tile<T>{samples, a, count_up, turned + k, step, out, direct && !fresh, Fetch::kNothing, 0, past});
              if (direct) continue;
              for (int m = 0; m < rows; ++m) {
                T* const row = row_of(o + m);
                for (i64 i = 0; i < width; ++i) {
                  T& weight = row[at[k + i]];
                  const T sum = inside[k + i] && samples ? corner[m * 2 * V + i] : T(0);
                  weight = fresh ? sum : weight + sum;
                }
              }
            }
            o += rows;
          }
          fresh = false;
          samples = 0;
        };

        Place s;
        for (s.at[0] = first.at[0]; s.at[0] < p.axes[0].output; s.at[0] += p.axes[0].tile)
          for (s.at[1] = first.at[1]; s.at[1] < p.axes[1].output; s.at[1] += p.axes[1].tile)
            for (s.at[2] = first.at[2]; s.at[2] < p.axes[2].output; s.at[2] += p.axes[2].tile) {
              const Box box = box_of(p, s);
              if (samples && (!(box == known) || samples + p.batch > held)) flush();
              if (!(box == known)) mark(p, box, block.n_inputs, inside);
              known = box;
              const T* const origin = laned.get() + origin_of(p, s, lanes);
              const i64 x_across = p.axes[2].stride * (one_position ? 1 : p.axes[2].tile) * lanes;
              last = position_of(p, s);
              for (i64 b = 0; b < p.batch;) {
                const bool whole = lanes - b >= V;
                T* const to = turned + (samples + b) * step;
                if (whole) turn_window<V>(origin + b, full, inside, x_across, step, p.batch - b, to);
                else turn_window<Lanes<T>::kLeast>(origin + b, full, inside, x_across, step, p.batch - b, to);
                b += whole ? V : Lanes<T>::kLeast;
              }
              if (!one_position)
                for (i64 o = mine.begin; o < mine.end; ++o)
                  __builtin_memcpy(gradients + (o - mine.begin) * held + samples, gradient_of(o, last), p.batch * sizeof(T));
              samples += p.batch;
            }
        flush();
        if constexpr (kIsHalf<S>)
          for (i64 o = mine.begin; o < mine.end; ++o) {
            S* const row = result + p.rows[block.outputs[o]];
            if (side_by_side) narrow_row(row_of(o), n, row + full.weight[0]);
            else
              for (i64 k = 0; k < n; ++k) row[full.weight[k]] = narrow<S>(row_of(o)[k]);
          }
      }
    });
    if (large) fence();
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
