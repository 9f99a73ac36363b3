// grad_weight where each position has a kernel of its own and few outputs read alike: a weight is the sum over samples of a
// gradient times what its tap read, and as vectors of samples nothing is turned over until all of them are summed up.
// Neighbouring positions follow each other, since their weights share lines of the cache.
#pragma once

#include "layout.hpp"
#include "phases.hpp"
#include "transpose.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr i64 kOwnPositions = 8;  // whose weights are written one after the other
constexpr int kMostDots = 12;     // taps for which there are registers
constexpr i64 kFewDots = 4;       // samples, to sum them up before they are turned over
constexpr i64 kDots = 256;        // vectors of a position that are summed up at once, about

// sums[wire * step + tap] = the sum over vectors of samples of  g[wire] * x[tap], lane by lane
template <class T, int R>
void dot_taps(i64 wires, const T* g, const i64* output, const T* x, const i64* from, i64 lanes, T* sums, i64 step) {
  constexpr int H = Lanes<T>::kLeast;
  using Vec = typename Vector<T, H>::type;
  const T* xs[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) xs[r] = x + from[r];
  for (i64 wire = 0; wire < wires; ++wire, sums += step * H) {
    const T* const gradient = g + output[wire];
    Vec sum[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) sum[r] = Vec{};
    for (i64 lane = 0; lane < lanes; lane += H) {
      Vec one;
      hold(one = load<T, H>(gradient + lane));
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sum[r] += one * load<T, H>(xs[r] + lane);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) store<T, H>(sums + r * H, sum[r]);
  }
}

template <class T, int... R>
void dot_taps(int taps, i64 wires, const T* g, const i64* output, const T* x, const i64* from, i64 lanes, T* sums, i64 step,
              std::integer_sequence<int, R...>) {
  static constexpr void (*table[])(i64, const T*, const i64*, const T*, const i64*, i64, T*, i64) = {dot_taps<T, R + 1>...};
  table[taps - 1](wires, g, output, x, from, lanes, sums, step);
}

// totals[i] = the sum of vector i's lanes; whole vectors are read and written.
template <class T>
void total(const T* sums, i64 count, T* totals) {
  constexpr int H = Lanes<T>::kLeast;
  for (i64 i = 0; i < count; i += H) {
    typename Vector<T, H>::type corner[H];
    for (int r = 0; r < H; ++r) corner[r] = load<T, H>(sums + (i + r) * H);
    add_turned<H, H / 2>(corner);
    store<T, H>(totals + i, corner[0]);
  }
}

// The same for few samples, whose taps are put side by side: whole vectors of them, each wire's over what is past the last one's.
template <class T>
void few_totals(i64 wires, const T* g, const i64* output, const T* x, const i64* from, i64 taps, i64 samples, T* windows,
                T* totals) {
  constexpr int H = Lanes<T>::kLeast;
  const i64 whole = (taps + H - 1) / H * H;
  for (i64 b = 0; b < samples; ++b)
    for (i64 tap = 0; tap < taps; ++tap) windows[b * whole + tap] = x[from[tap] + b];
  for (i64 wire = 0; wire < wires; ++wire, totals += taps)
    for (i64 k = 0; k < taps; k += H) {
      typename Vector<T, H>::type sum{};
      for (i64 b = 0; b < samples; ++b) sum += g[output[wire] + b] * load<T, H>(windows + b * whole + k);
      store<T, H>(totals + k, sum);
    }
}

template <class S>
int sum_own(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  constexpr i64 H = Lanes<T>::kLeast;
  const i64 lanes = lanes_of<T>(p.batch), taps = taps_of(p);
  Laned<T> laned(p, p.in_channels, &cv_axis::size), gradient(p, p.out_channels, &cv_axis::output);
  const i64 plane = laned.plane();
  const i64 line = p.axes[2].size * lanes, sheet = p.axes[1].size * line;
  const i64 g_line = p.axes[2].output * lanes, g_sheet = p.axes[1].output * g_line;
  const Direction d0(p.axes[0], false, 1), d1(p.axes[1], false, 1), d2(p.axes[2], false, kOwnPositions);
  const Wires wires(p, true);
  if (!d0 || !d1 || !d2 || !wires || !laned || !gradient) return CV_NO_MEMORY;
  const i64 together = kDots / taps + 1;                   // wires
  const i64 dots = (together * taps + 2 * H - 1) / H * H;  // and room for a vector more
  const i64 own_values = dots * (H + kOwnPositions) + kFewDots * (taps + H);
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(2 * taps * threads);
  const WirePlaces outputs(wires, gradient.plane() * lanes);
  if (!scratches || !tables || !outputs) return CV_NO_MEMORY;
  laned.template fill<S>(p, input, threads);
  gradient.template fill<S>(p, grad_output, threads);

  parallel(threads, [&](int worker, int workers) {
    T *const sums = scratches.get() + own_values * worker, *const totals = sums + dots * H;
    T* const windows = totals + dots * kOwnPositions;
    __builtin_memset(sums, 0, own_values * sizeof(T));  // what is past a window is computed with, and not kept
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
      bool side_by_side = met == taps && !p.add && !kIsHalf<S>;
      for (i64 k = 1; k < met; ++k) side_by_side = side_by_side && to[k] == to[0] + k;
      const i64 x_at = r0.begin * p0.across * sheet + r1.begin * p1.across * line + r2.begin * p2.across * lanes;
      const T* const g = gradient.get() + r0.begin * g_sheet + r1.begin * g_line + r2.begin * lanes;
      S* const kernel = static_cast<S*>(grad_weight) + r0.begin * p0.weights + r1.begin * p1.weights + r2.begin * p2.weights;
      for (i64 channel = 0; channel < p.in_channels; ++channel) {
        const T* const x = laned.get() + channel * plane * lanes + x_at;
        for (i64 wire = wires.begin(channel), some; wire < wires.end(channel); wire += some) {
          some = next_part(wires.end(channel) - wire, together);
          for (i64 q = 0; q < r2.count; ++q) {
            if (p.batch <= kFewDots) {
              few_totals<T>(some, g + q * lanes, outputs.get() + wire, x + q * p2.across * lanes, from, met, p.batch, windows,
                            totals + q * dots);
              continue;
            }
            for (i64 k = 0; k < met;) {
              const int count = static_cast<int>(next_part(met - k, kMostDots));
              dot_taps<T>(count, some, g + q * lanes, outputs.get() + wire, x + q * p2.across * lanes, from + k, lanes,
                          sums + k * H, met, std::make_integer_sequence<int, kMostDots>{});
              k += count;
            }
            total(sums, some * met, totals + q * dots);
          }
          for (i64 i = 0; i < some; ++i)
            for (i64 q = 0; q < r2.count; ++q) {
              S* const weights = kernel + wires.weight(wire + i) + q * p2.weights;
              const T* const found = totals + q * dots + i * met;
              if constexpr (!kIsHalf<S>) {
                if (side_by_side) {
                  copy_few(found, taps, weights + to[0]);
                  continue;
                }
              }
              for (i64 k = 0; k < taps; ++k) {
                const T sum = k < met ? found[k] : T(0);
                weights[to[k]] = narrow<S>(p.add ? widen(weights[to[k]]) + sum : sum);
              }
            }
        }
      }
    }
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
