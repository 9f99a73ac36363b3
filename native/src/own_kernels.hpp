// grad_weight where each position has a kernel of its own and few outputs read alike: the window of one channel is turned over
// for all that read it, and vectors run over its taps. Neighbouring positions follow each other, since their weights share lines
// of the cache.
#pragma once

#include "accumulate.hpp"
#include "along_window.hpp"
#include "layout.hpp"
#include "phases.hpp"
#include "transpose.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr i64 kOwnPositions = 8;  // whose weights are written one after the other

// Few numbers, without a call.
template <class T>
inline void copy_few(const T* from, i64 count, T* to) {
  for (; count >= 8; count -= 8, from += 8, to += 8) __builtin_memcpy(to, from, 8 * sizeof(T));
  if (count >= 4) {
    __builtin_memcpy(to, from, 4 * sizeof(T));
    count -= 4, from += 4, to += 4;
  }
  for (; count; --count) *to++ = *from++;
}

template <class S>
int sum_own(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  constexpr i64 V = Lanes<T>::kVector, least = Lanes<T>::kLeast;
  const i64 lanes = lanes_of<T>(p.batch), taps = taps_of(p);
  Laned<T> laned(p, p.in_channels, &cv_axis::size), gradient(p, p.out_channels, &cv_axis::output);
  const i64 plane = laned.plane(), g_plane = gradient.plane();
  const i64 line = p.axes[2].size * lanes, sheet = p.axes[1].size * line;
  const i64 g_line = p.axes[2].output * lanes, g_sheet = p.axes[1].output * g_line;
  const i64 step = (taps + least - 1) / least * least;  // from a sample's window to the next
  const Direction d0(p.axes[0], false, 1), d1(p.axes[1], false, 1), d2(p.axes[2], false, kOwnPositions);
  const Wires wires(p, true);
  const i64 turned_values = kOwnPositions * lanes * step, own_values = turned_values + taps * lanes + kMostRows * 2 * V;
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables((2 * taps + lanes) * threads);
  if (!d0 || !d1 || !d2 || !wires || !laned || !gradient || !scratches || !tables) return CV_NO_MEMORY;
  laned.template fill<S>(p, input, threads);
  gradient.template fill<S>(p, grad_output, threads);

  parallel(threads, [&](int worker, int workers) {
    T* const turned = scratches.get() + own_values * worker;
    T *const window = turned + turned_values, *const sums = window + taps * lanes;
    __builtin_memset(turned, 0, turned_values * sizeof(T));  // what is past a window is computed with, and not kept
    i64 *const from = tables.get() + (2 * taps + lanes) * worker, *const to = from + taps, *const count_up = to + taps;
    for (i64 b = 0; b < lanes; ++b) count_up[b] = b;
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
      bool side_by_side = met == taps && !p.add && !kIsHalf<S>;
      for (i64 k = 1; k < met; ++k) side_by_side = side_by_side && to[k] == to[0] + k;
      const i64 x_at = r0.begin * p0.across * sheet + r1.begin * p1.across * line + r2.begin * p2.across * lanes;
      const i64 g_at = r0.begin * g_sheet + r1.begin * g_line + r2.begin * lanes;
      S* const kernel = static_cast<S*>(grad_weight) + r0.begin * p0.weights + r1.begin * p1.weights + r2.begin * p2.weights;
      for (i64 channel = 0; channel < p.in_channels; ++channel) {
        const T* const x = laned.get() + channel * plane * lanes + x_at;
        for (i64 q = 0; q < r2.count; ++q) {
          const T* const origin = x + q * p2.across * lanes;
          T* const windows = turned + q * lanes * step;
          if (p.batch <= kFewSamples) {
            for (i64 b = 0; b < p.batch; ++b)
              for (i64 k = 0; k < met; ++k) windows[b * step + k] = origin[from[k] + b];
            continue;
          }
          for (i64 k = 0; k < met; ++k) __builtin_memcpy(window + k * lanes, origin + from[k], lanes * sizeof(T));
          transpose(window, lanes, met, p.batch, windows, step, {lanes, step});
        }
        for (i64 wire = wires.begin(channel); wire < wires.end(channel);) {
          const int outputs = next_rows(wires.end(channel) - wire);
          for (i64 q = 0; q < r2.count; ++q) {
            const T* g[kMostRows];
            T* out[kMostRows];
            for (int m = 0; m < outputs; ++m) {
              g[m] = gradient.get() + wires.channel(wire + m) * g_plane * lanes + g_at + q * lanes;
              out[m] = sums + m * 2 * V;
            }
            for (i64 k = 0; k < taps;) {
              const int width = next_lanes<T>(step - k);
              multiply_lanes<T>(width, outputs, Tile<T>{p.batch, g, count_up, turned + q * lanes * step + k, step, out, false});
              for (int m = 0; m < outputs; ++m) {
                S* const weights = kernel + wires.weight(wire + m) + q * p2.weights;
                const i64 end = k + width < taps ? k + width : taps;
                if constexpr (!kIsHalf<S>) {
                  if (side_by_side) {
                    copy_few(out[m], end - k, weights + to[k]);
                    continue;
                  }
                }
                for (i64 i = k; i < end; ++i) {
                  const T sum = i < met ? out[m][i - k] : T(0);
                  weights[to[i]] = narrow<S>(p.add ? widen(weights[to[i]]) + sum : sum);
                }
              }
              k += width;
            }
          }
          wire += outputs;
        }
      }
    }
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
