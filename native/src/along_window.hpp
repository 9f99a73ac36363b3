// forward and grad_input for few samples, where the weights of a window lie side by side: vectors run over the window. Each
// weight is then read once, in whole lines of the cache, as fast as memory gives them.
#pragma once

#include "units.hpp"

namespace cv::CV_ISA {

inline bool equally_spaced(const i64* places, i64 count) {
  for (i64 i = 2; i < count; ++i)
    if (places[i] - places[i - 1] != places[1] - places[0]) return false;
  return true;
}

// out[r][b] = sum over the window of rows[r] * x[b], and what lies `ahead` of the rows is fetched.
template <class T, int R, int B>
void dot_rows(const T* const* rows, const T* x, i64 n, i64 ahead, T* const* out) {
  constexpr int V = Lanes<T>::kVector;
  using Vec = typename Vector<T, V>::type;
  Vec sum[R][B];
  for (int r = 0; r < R; ++r)
    for (int b = 0; b < B; ++b) sum[r][b] = Vec{};
  i64 k = 0;
  for (; k + V <= n; k += V) {
    Vec xs[B];
    for (int b = 0; b < B; ++b) xs[b] = load<T, V>(x + b * n + k);
    for (int r = 0; r < R; ++r) {
      __builtin_prefetch(rows[r] + k + ahead, 0, 2);
      const Vec row = load<T, V>(rows[r] + k);
      for (int b = 0; b < B; ++b) sum[r][b] += row * xs[b];
    }
  }
  for (int r = 0; r < R; ++r)
    for (int b = 0; b < B; ++b) {
      T total = 0;
      for (int lane = 0; lane < V; ++lane) total += sum[r][b][lane];
      for (i64 rest = k; rest < n; ++rest) total += rows[r][rest] * x[b * n + rest];
      out[r][b] = total;
    }
}

constexpr int kFewSamples = 4;

// For `count` outputs: row(o) is an output's weights, out(o) where its samples go. x: (samples, n).
template <class T, class Row, class Out>
void dot_rows(i64 count, i64 samples, const T* x, i64 n, i64 ahead, Row row, Out out) {
  constexpr int R = 4;
  static constexpr void (*four[])(const T* const*, const T*, i64, i64, T* const*) = {dot_rows<T, R, 1>, dot_rows<T, R, 2>,
                                                                                     dot_rows<T, R, 3>, dot_rows<T, R, 4>};
  static constexpr void (*one[])(const T* const*, const T*, i64, i64, T* const*) = {dot_rows<T, 1, 1>, dot_rows<T, 1, 2>,
                                                                                    dot_rows<T, 1, 3>, dot_rows<T, 1, 4>};
  static_assert(kFewSamples == 4);
  for (i64 o = 0; o < count;) {
    const int rows = count - o >= R ? R : 1;
    const T* a[R];
    T* to[R];
    for (int r = 0; r < rows; ++r) {
      a[r] = row(o + r);
      to[r] = out(o + r);
    }
    (rows == R ? four : one)[samples - 1](a, x, n, ahead, to);
    o += rows;
  }
}

template <class T>
class AlongWindow {
  static constexpr int V = Lanes<T>::kVector;

 public:
  // Elements of `values` and of `places` that it needs.
  static i64 values(i64 window, i64 outputs) { return V * (window + outputs); }

  AlongWindow(T* values, i64* places) : values_(values), places_(places) {}

  // Adds to `origin`, at the window's places, the sum over outputs of gradient * weight; from(o) is the gradient of output o.
  template <class From>
  void add(const Window& window, const T* weights, const i64* rows, i64 outputs, Range lanes, i64 ahead, From from,
           T* origin) const {
    T *const gradients = values_, *const sums = gradients + V * outputs;
    const T* const weight = weights + rows[0];
    const i64 step = outputs > 1 ? rows[1] - rows[0] : 0;
    for (i64 o = 0; o < outputs; ++o) places_[o] = o * V;
    for (i64 b = lanes.begin; b < lanes.end;) {
      const int samples = lanes.end - b < V ? Lanes<T>::kLeast : V;
      for (i64 o = 0; o < outputs; ++o) copy_lanes(samples, from(o) + b, gradients + o * V);
      for (i64 k = 0; k < window.n;) {
        const int width = window.n - k >= 2 * V ? 2 * V : V;
        if (window.n - k < V) k = window.n - V;  // the last vector begins early, and its sums are the same again
        for (int m = 0; m < samples;) {
          const int count = next_rows(samples - m);
          const T* a[kMostRows];
          T* out[kMostRows];
          for (int i = 0; i < count; ++i) {
            a[i] = gradients + m + i;
            out[i] = sums + (m + i) * window.n + k;
          }
          const Fetch fetch = ahead && b == lanes.begin && !m ? Fetch::kX : Fetch::kNothing;
          multiply_lanes<T>(width, count, Tile<T>{outputs, a, places_, weight + k, step, out, false, fetch, ahead});
          m += count;
        }
        k += width;
      }
      add_turned(window, samples, sums, origin + b);
      b += samples;
    }
  }

 private:
  // sums: (samples, window); origin: samples innermost.
  static void add_turned(const Window& window, int samples, const T* sums, T* origin) {
    using Vec = typename Vector<T, V>::type;
    for (i64 first = 0; first < window.n; first += V) {
      const i64 k = window.n - first < V ? window.n - V : first;
      Vec corner[V];
      for (int m = 0; m < V; ++m) corner[m] = m < samples ? load<T, V>(sums + m * window.n + k) : Vec{};
      turn<V, V / 2>(corner);
      for (i64 i = first - k; i < V; ++i) {
        T* const to = origin + window.input[k + i];
        if (samples == V) store<T, V>(to, load<T, V>(to) + corner[i]);
        else
          for (int m = 0; m < samples; ++m) to[m] += corner[i][m];
      }
    }
  }

  T* values_;
  i64* places_;
};

}  // namespace cv::CV_ISA
