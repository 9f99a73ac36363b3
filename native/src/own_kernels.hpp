// grad_weight where each position has a kernel of its own and few outputs read alike: a weight is one sum over the batch of a
// gradient times what its tap read. Vectors run over the batch; those of many weights are summed up side by side.
#pragma once

#include "accumulate.hpp"
#include "layout.hpp"
#include "phases.hpp"
#include "transpose.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr i64 kOwnPositions = 8;  // whose weights are written at once, so that lines of the cache are written whole

// sums[m][n] = g[m] * x[from[n]], each a vector, added up over `count` vectors of samples.
template <class T, int V, int M, int N>
void multiply_samples(const T* const* g, const T* x, const i64* from, i64 count, T* const* sums) {
  using Vec = typename Vector<T, V>::type;
  Vec sum[M][N];
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) sum[m][n] = Vec{};
  for (i64 at = 0; at < count * V; at += V) {
    Vec xs[N];
    for (int n = 0; n < N; ++n) xs[n] = load<T, V>(x + from[n] + at);
    for (int m = 0; m < M; ++m) {
      const Vec one = load<T, V>(g[m] + at);
      for (int n = 0; n < N; ++n) sum[m][n] += one * xs[n];
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) store<T, V>(sums[m] + n * V, sum[m][n]);
}

template <class T, int V, int M, int... N>
void multiply_samples(int taps, const T* const* g, const T* x, const i64* from, i64 count, T* const* sums,
                      std::integer_sequence<int, N...>) {
  static constexpr void (*table[])(const T* const*, const T*, const i64*, i64, T* const*) = {multiply_samples<T, V, M, N + 1>...};
  table[taps - 1](g, x, from, count, sums);
}

template <class T, int V>
void multiply_samples(int outputs, int taps, const T* const* g, const T* x, const i64* from, i64 count, T* const* sums) {
  constexpr auto all = std::make_integer_sequence<int, kMostTaps>{};
  static_assert(kMostOutputs == 4);
  switch (outputs) {
    case 1: return multiply_samples<T, V, 1>(taps, g, x, from, count, sums, all);
    case 2: return multiply_samples<T, V, 2>(taps, g, x, from, count, sums, all);
    case 3: return multiply_samples<T, V, 3>(taps, g, x, from, count, sums, all);
    case 4: return multiply_samples<T, V, 4>(taps, g, x, from, count, sums, all);
  }
}

// totals[k] = the sum of the lanes of vector k. Both have room for whole vectors of vectors.
template <class T, int V>
void add_lanes(const T* vectors, i64 count, T* totals) {
  for (i64 k = 0; k < count; k += V) {
    typename Vector<T, V>::type rows[V];
    for (int r = 0; r < V; ++r) rows[r] = load<T, V>(vectors + (k + r) * V);
    fold<V, V / 2>(rows);
    store<T, V>(totals + k, rows[0]);
  }
}

// Whether each position's kernel is its own, and windows are not shared by many outputs.
inline bool stands_alone(const cv_problem& p) {
  if (!is_local(p.axes[0]) || !is_local(p.axes[1]) || !is_local(p.axes[2])) return false;
  return p.way & (CV_GATHERED | CV_NEIGHBOURS) ? p.way & CV_NEIGHBOURS : are_small(p);
}

template <class S, int V>
int sum_own(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  const i64 lanes = lanes_of<T>(p.batch), positions = outputs_of(p), taps = taps_of(p);
  const i64 plane = pitch_of<T>(inputs_of(p), lanes), g_plane = pitch_of<T>(positions, lanes);
  const i64 line = p.axes[2].size * lanes, sheet = p.axes[1].size * line;
  const i64 g_line = p.axes[2].output * lanes, g_sheet = p.axes[1].output * g_line;
  const Direction d0(p.axes[0], false, 1), d1(p.axes[1], false, 1), d2(p.axes[2], false, kOwnPositions);
  const Wires wires(p, true);
  Buffer<T> laned(p.in_channels * plane * lanes), gradient(p.out_channels * g_plane * lanes);
  const i64 most = kMostOutputs * kOwnPositions * taps, own_values = (most + V) * (V + 1);
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(2 * taps * threads);
  if (!d0 || !d1 || !d2 || !wires || !laned || !gradient || !scratches || !tables) return CV_NO_MEMORY;
  const Rows in_rows(p.in_channels, p.axes, &cv_axis::size, input.strides, plane != inputs_of(p));
  to_lanes(static_cast<const S*>(input.data), input.strides[0], in_rows, p.batch, lanes, laned.get(), threads, inputs_of(p),
           plane);
  const Rows out_rows(p.out_channels, p.axes, &cv_axis::output, grad_output.strides, g_plane != positions);
  to_lanes(static_cast<const S*>(grad_output.data), grad_output.strides[0], out_rows, p.batch, lanes, gradient.get(), threads,
           positions, g_plane);

  parallel(threads, [&](int worker, int workers) {
    T* const sums = scratches.get() + own_values * worker;
    T* const totals = sums + (most + V) * V;
    i64 *const from = tables.get() + 2 * taps * worker, *const to = from + taps;
    const Range mine = share(d0.count() * d1.count() * d2.count(), worker, workers);
    for (i64 unit = mine.begin; unit < mine.end; ++unit) {
      const Run& r2 = d2.begin()[unit % d2.count()];
      const Run& r1 = d1.begin()[unit / d2.count() % d1.count()];
      const Run& r0 = d0.begin()[unit / d2.count() / d1.count()];
      const Phase &p0 = *r0.phase, &p1 = *r1.phase, &p2 = *r2.phase;
      // the taps that meet the input come first, then those that do not
      i64 met = 0, missed = taps;
      for (i64 a = 0; a < p0.taps; ++a)
        for (i64 b = 0; b < p1.taps; ++b)
          for (i64 c = 0; c < p2.taps; ++c) {
            const bool meets = a >= r0.low && a < r0.high && b >= r1.low && b < r1.high && c >= r2.low && c < r2.high;
            const i64 n = meets ? met++ : --missed;
            to[n] = p0.weight[a] + p1.weight[b] + p2.weight[c];
            from[n] = p0.from[a] * sheet + p1.from[b] * line + p2.from[c] * lanes;
          }
      bool side_by_side = met == taps;
      for (i64 k = 1; k < met; ++k) side_by_side = side_by_side && to[k] == to[0] + k;
      const i64 x_at = r0.begin * p0.across * sheet + r1.begin * p1.across * line + r2.begin * p2.across * lanes;
      const i64 g_at = r0.begin * g_sheet + r1.begin * g_line + r2.begin * lanes;
      S* const kernel = static_cast<S*>(grad_weight) + r0.begin * p0.weights + r1.begin * p1.weights + r2.begin * p2.weights;
      for (i64 channel = 0; channel < p.in_channels; ++channel) {
        const T* const x = laned.get() + channel * plane * lanes + x_at;
        for (i64 wire = wires.begin(channel); wire < wires.end(channel);) {
          const int outputs = static_cast<int>(next_part(wires.end(channel) - wire, kMostOutputs));
          for (i64 q = 0; q < r2.count; ++q) {
            const T* g[kMostOutputs];
            T* out[kMostOutputs];
            for (i64 k = 0; k < met;) {
              const int columns = static_cast<int>(next_part(met - k, kMostTaps));
              for (int m = 0; m < outputs; ++m) {
                g[m] = gradient.get() + wires.channel(wire + m) * g_plane * lanes + g_at + q * lanes;
                out[m] = sums + ((m * r2.count + q) * met + k) * V;
              }
              multiply_samples<T, V>(outputs, columns, g, x + q * p2.across * lanes, from + k, lanes / V, out);
              k += columns;
            }
          }
          add_lanes<T, V>(sums, outputs * r2.count * met, totals);
          const T* total = totals;
          for (int m = 0; m < outputs; ++m)
            for (i64 q = 0; q < r2.count; ++q, total += met) {
              S* const weights = kernel + wires.weight(wire + m) + q * p2.weights;
              if (side_by_side && !p.add) {
                for (i64 k = 0; k < taps; ++k) weights[to[0] + k] = narrow<S>(total[k]);
                continue;
              }
              for (i64 k = 0; k < met; ++k) weights[to[k]] = narrow<S>(p.add ? widen(weights[to[k]]) + total[k] : total[k]);
              for (i64 k = met; k < taps && !p.add; ++k) weights[to[k]] = narrow<S>(T(0));
            }
          wire += outputs;
        }
      }
    }
  });
  return CV_OK;
}

template <class S>
int sum_own(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  const bool whole = lanes_of<T>(p.batch) % Lanes<T>::kVector == 0;
  return (whole ? sum_own<S, Lanes<T>::kVector> : sum_own<S, Lanes<T>::kLeast>)(p, input, grad_output, grad_weight, threads);
}

}  // namespace cv::CV_ISA
