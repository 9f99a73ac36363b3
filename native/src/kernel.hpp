// The one small kernel under all three maps: M rows times NV vectors, both operands addressed through tables.
//
//     out[m][v] (+)= sum over j of  a[m][at[j]] * x[j * step + v]
//
// forward:      rows are outputs,  j runs over the window, vectors over the batch
// grad_input:   rows are the window, j runs over outputs,  vectors over the batch
// grad_weight:  rows are outputs,  j runs over the batch,  vectors over the window
#pragma once

#include <cstdint>
#include <cstring>

namespace cv::CV_ISA {

using i64 = std::int64_t;

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kMostRows = 8;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kMostRows = 6;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kMostRows = 8;
#else
constexpr int kVectorBytes = 16;
constexpr int kMostRows = 6;
#endif

template <class T, int V>
struct Vector {
  typedef T type __attribute__((vector_size(V * sizeof(T))));
  typedef T anywhere __attribute__((vector_size(V * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <class T, int V>
inline typename Vector<T, V>::type load(const T* from) {
  return *reinterpret_cast<const typename Vector<T, V>::anywhere*>(from);
}

template <class T, int V>
inline void store(T* to, typename Vector<T, V>::type value) {
  *reinterpret_cast<typename Vector<T, V>::anywhere*>(to) = value;
}

// What a call of the kernel works on; `ahead` elements past each row is what will be read next, fetched meanwhile.
template <class T>
struct Tile {
  i64 n;
  const T* const* a;
  const i64* at;
  const T* x;
  i64 step;
  T* const* out;
  bool add;
  i64 ahead;
};

template <class T, int V, int NV, int M>
void multiply(const Tile<T>& tile) {
  using Vec = typename Vector<T, V>::type;
  constexpr int kLine = 64 / sizeof(T);
  const T* a[M];
  for (int m = 0; m < M; ++m) a[m] = tile.a[m];
  Vec sum[M][NV];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < NV; ++v) sum[m][v] = Vec{};
  const T* x = tile.x;
  const i64* at = tile.at;
  const i64 step = tile.step, ahead = tile.ahead;
  const auto once = [&](i64 j) __attribute__((always_inline)) {
    Vec xs[NV];
    for (int v = 0; v < NV; ++v) xs[v] = load<T, V>(x + v * V);
    const i64 place = at[j];
    for (int m = 0; m < M; ++m) {
      const T one = a[m][place];
      for (int v = 0; v < NV; ++v) sum[m][v] += one * xs[v];
    }
    x += step;
  };
  i64 j = 0;
  if (ahead) {
    for (; j + kLine <= tile.n; j += kLine) {
      for (int m = 0; m < M; ++m) __builtin_prefetch(a[m] + at[j] + ahead, 0, 2);
      for (int k = 0; k < kLine; ++k) once(j + k);
    }
  }
  for (; j < tile.n; ++j) once(j);
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < NV; ++v) {
      T* out = tile.out[m] + v * V;
      store<T, V>(out, tile.add ? load<T, V>(out) + sum[m][v] : sum[m][v]);
    }
}

template <class T, int V, int NV>
void multiply(int rows, const Tile<T>& tile) {
  static_assert(kMostRows <= 8);
  switch (rows) {
    case 1: return multiply<T, V, NV, 1>(tile);
    case 2: return multiply<T, V, NV, 2>(tile);
    case 3: return multiply<T, V, NV, 3>(tile);
    case 4: return multiply<T, V, NV, 4>(tile);
    case 5: return multiply<T, V, NV, 5>(tile);
    case 6: return multiply<T, V, NV, 6>(tile);
    case 7:
      if constexpr (kMostRows >= 7) return multiply<T, V, NV, 7>(tile);
      break;
    case 8:
      if constexpr (kMostRows >= 8) return multiply<T, V, NV, 8>(tile);
      break;
  }
}

// Lanes that a row of vectors may have: two vectors, one, and where vectors are wide a half, for batches that need no more.
template <class T>
struct Lanes {
  static constexpr int kVector = kVectorBytes / sizeof(T);
  static constexpr int kMost = 2 * kVector;
  static constexpr int kLeast = kVectorBytes >= 64 ? kVector / 2 : kVector;
};

template <class T>
void multiply_lanes(int lanes, int rows, const Tile<T>& tile) {
  constexpr int V = Lanes<T>::kVector;
  if (lanes == 2 * V) return multiply<T, V, 2>(rows, tile);
  if (lanes == V) return multiply<T, V, 1>(rows, tile);
  if constexpr (Lanes<T>::kLeast < V) multiply<T, V / 2, 1>(rows, tile);
}

// A constant size lets the compiler make it vector moves.
template <class T>
inline void copy_lanes(int lanes, const T* from, T* to) {
  constexpr int V = Lanes<T>::kVector;
  if (lanes == 2 * V) __builtin_memcpy(to, from, 2 * V * sizeof(T));
  else if (lanes == V) __builtin_memcpy(to, from, V * sizeof(T));
  else __builtin_memcpy(to, from, Lanes<T>::kLeast * sizeof(T));
}

// Rows of the next tile: what is left, shared out evenly.
inline int next_rows(i64 left) {
  const i64 tiles = (left + kMostRows - 1) / kMostRows;
  return static_cast<int>((left + tiles - 1) / tiles);
}

}  // namespace cv::CV_ISA
