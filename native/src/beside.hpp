// A taller tile, for rows that lie side by side: as many of a window's weights as a line of the cache holds, times one vector.
// Each line is then read once for a vector, and not in parts.
#pragma once

#include "layout.hpp"
#include "window.hpp"

namespace cv::CV_ISA {

constexpr bool kAreBeside = !kShort;  // shorter vectors have to be two, for which there are no registers
constexpr int kBeside = 16;           // rows

// out[m][v] += sum over j of  a[at[j] + m] * x[j * step + v], and what lies `ahead` of each line of a is fetched.
template <class T, int V, bool Ahead>
void multiply_beside(i64 n, const T* a, const i64* at, const T* x, i64 step, [[maybe_unused]] i64 ahead, T* const* out) {
  using Vec = typename Vector<T, V>::type;
  Vec sum[kBeside];
#pragma GCC unroll 16
  for (int m = 0; m < kBeside; ++m) sum[m] = Vec{};
#pragma GCC unroll 16
  for (int m = 0; m < kBeside; ++m) __builtin_prefetch(out[m], 1, 3);
  for (const i64* const end = at + n; at != end; ++at, x += step) {
    const T* const row = a + *at;
    if constexpr (Ahead) __builtin_prefetch(row + ahead, 0, 2);
    Vec xs = load<T, V>(x);
    hold(xs);
#pragma GCC unroll 16
    for (int m = 0; m < kBeside; ++m) sum[m] += row[m] * xs;
  }
#pragma GCC unroll 16
  for (int m = 0; m < kBeside; ++m) store<T, V>(out[m], load<T, V>(out[m]) + sum[m]);
}

// Of one vector of so many lanes: a whole vector, or a half.
template <class T>
void multiply_beside(int lanes, bool fetch, i64 n, const T* a, const i64* at, const T* x, i64 step, i64 ahead, T* const* out) {
  constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
  if (lanes == V)
    return fetch ? multiply_beside<T, V, true>(n, a, at, x, step, ahead, out)
                 : multiply_beside<T, V, false>(n, a, at, x, step, ahead, out);
  if constexpr (H < V)
    fetch ? multiply_beside<T, H, true>(n, a, at, x, step, ahead, out)
          : multiply_beside<T, H, false>(n, a, at, x, step, ahead, out);
}

// Adds to `origin`, at the window's places, the sum over outputs of weight * gradient, for as many elements of the window as
// whole lines hold, and returns their number. weights: of the first row's first element; gradients: (vectors of `lanes`,
// outputs).
template <class T>
i64 add_beside(const Window& window, const T* weights, const i64* rows, i64 outputs, Range lanes, i64 ahead, const T* gradients,
               T* origin) {
  i64 k = 0;
  for (; k + kBeside <= window.n; k += kBeside) {
    T* out[kBeside];
    const T* x = gradients;
    for (i64 b = lanes.begin; b < lanes.end;) {
      const int r = next_lanes<T>(lanes.end - b), width = r < Lanes<T>::kVector ? r : Lanes<T>::kVector;
      for (i64 v = b; v < b + r; v += width) {
        for (int m = 0; m < kBeside; ++m) out[m] = origin + window.input[k + m] + v;
        multiply_beside<T>(width, ahead && v == lanes.begin, outputs, weights + k, rows, x + v - b, r, ahead, out);
      }
      x += outputs * r;
      b += r;
    }
  }
  return k;
}

}  // namespace cv::CV_ISA
