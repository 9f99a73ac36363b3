// The one small kernel under all three maps: M rows times NV vectors, both operands addressed through tables.
//
//     out[m][v] (+)= sum over j of  a[m][at[j]] * x[j * step + v]
//
// forward:      rows are outputs,  j runs over the window, vectors over the batch
// grad_input:   rows are the window, j runs over outputs,  vectors over the batch
// grad_weight:  rows are the window, j runs over the batch, vectors over outputs
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace cv::CV_ISA {

using i64 = std::int64_t;

#if defined(__AVX512F__) || defined(CV_WIDE)
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

constexpr bool kManyRegisters = kVectorBytes == 64 || kMostRows == 8;  // 32, or 16
constexpr bool kShort = kVectorBytes < 64;                             // a vector is no whole line of the cache

template <class T, int V>
struct Vector {
  typedef T type __attribute__((vector_size(V * sizeof(T))));
  typedef T anywhere __attribute__((vector_size(V * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <class T, int V>
inline typename Vector<T, V>::type load(const T* from) {
  return *reinterpret_cast<const typename Vector<T, V>::anywhere*>(from);
}

// Leaves a value in a register: a compiler would rather load it anew for each product, which takes as long as the product.
template <class Vec>
inline void hold([[maybe_unused]] Vec& value) {
#if defined(CV_WIDE)  // a vector is several registers
#elif defined(__AVX512F__)
  asm("" : "+v"(value));
#elif defined(__SSE2__)
  asm("" : "+x"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#endif
}

template <class T, int V>
inline void store(T* to, typename Vector<T, V>::type value) {
  *reinterpret_cast<typename Vector<T, V>::anywhere*>(to) = value;
}

// Past the cache, to memory: for results too large to be found there again. The place is one of a whole vector.
template <class T, int V>
inline void stream(T* to, typename Vector<T, V>::type value) {
#if defined(__AVX512F__)
  if constexpr (V * sizeof(T) == 64) return _mm512_stream_ps(reinterpret_cast<float*>(to), reinterpret_cast<__m512>(value));
#endif
#if defined(__AVX__)
  if constexpr (V * sizeof(T) == 32) return _mm256_stream_ps(reinterpret_cast<float*>(to), reinterpret_cast<__m256>(value));
#elif defined(__SSE2__)
  if constexpr (V * sizeof(T) == 16) return _mm_stream_ps(reinterpret_cast<float*>(to), reinterpret_cast<__m128>(value));
#endif
  store<T, V>(to, value);
}

// Before others may read what was streamed.
inline void fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// What is fetched ahead while a tile is multiplied, `ahead` elements further: every row of a, for taps that lie side by side; the
// first of them, for rows that do; or x.
enum class Fetch { kNothing, kRows, kFirst, kX };

// What a call of the kernel works on.
template <class T>
struct Tile {
  i64 n;
  const T* const* a;
  const i64* at;
  const T* x;
  i64 step;  // from an element of x to the next
  T* const* out;
  bool add = false;
  Fetch fetch = Fetch::kNothing;
  i64 ahead = 0;
  const i64* from = nullptr;                                 // where each element of x lies, if not equally spaced
  i64 x_next = kVectorBytes / sizeof(T), out_next = x_next;  // from a vector to the next, of two
};

template <class T, int V, int NV, int M, Fetch What, bool Spread>
void multiply_tile(const Tile<T>& tile) {
  using Vec = typename Vector<T, V>::type;
  constexpr i64 kLine = 64 / sizeof(T);
  // Of rows each line is fetched once, and again where products are few and the memory slower than they.
  constexpr bool kInLines = NV * V * sizeof(T) == 2 * kVectorBytes;
  const T* a[M];
  for (int m = 0; m < M; ++m) a[m] = tile.a[m];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < NV; ++v) __builtin_prefetch(tile.out[m] + v * tile.out_next, 1, 3);
  Vec sum[M][NV];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < NV; ++v) sum[m][v] = Vec{};
  const T* x = tile.x;
  const i64 *at = tile.at, *from = tile.from;
  const i64* const end = at + tile.n;
  const i64 step = tile.step, next = tile.x_next;
  [[maybe_unused]] const i64 ahead = tile.ahead;
  [[maybe_unused]] int turn = 0;
  while (at != end) {
    const i64* stop = end;
    if constexpr (What == Fetch::kRows && kInLines) {
      if (end - at > kLine) stop = at + kLine;
      for (int m = 0; m < M; ++m) __builtin_prefetch(a[m] + *at + ahead, 0, 2);
    }
    for (; at != stop; ++at) {
      const T* const here = Spread ? x + *from++ : x;
      Vec xs[NV];
      for (int v = 0; v < NV; ++v) xs[v] = load<T, V>(here + v * next);
      for (int m = 0; m < M; ++m) {
        const T one = a[m][*at];
        for (int v = 0; v < NV; ++v) sum[m][v] += one * xs[v];
      }
      if constexpr (What == Fetch::kRows && !kInLines) {
        __builtin_prefetch(tile.a[turn] + *at + ahead, 0, 2);
        turn = turn + 1 == M ? 0 : turn + 1;
      }
      if constexpr (What == Fetch::kFirst) __builtin_prefetch(a[0] + *at + ahead, 0, 2);
      if constexpr (What == Fetch::kX)
        for (int v = 0; v < NV; ++v) __builtin_prefetch(here + v * next + ahead, 0, 2);
      if constexpr (!Spread) x += step;
    }
  }
  const auto out = [&](int m, int v) { return tile.out[m] + v * tile.out_next; };
  if (tile.add)
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < NV; ++v) store<T, V>(out(m, v), load<T, V>(out(m, v)) + sum[m][v]);
  else
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < NV; ++v) store<T, V>(out(m, v), sum[m][v]);
}

template <class T, int V, int NV, int M>
void multiply(const Tile<T>& tile) {
  const bool spread = tile.from;
  switch (tile.fetch) {
    case Fetch::kNothing:
      return spread ? multiply_tile<T, V, NV, M, Fetch::kNothing, true>(tile)
                    : multiply_tile<T, V, NV, M, Fetch::kNothing, false>(tile);
    case Fetch::kRows: return multiply_tile<T, V, NV, M, Fetch::kRows, true>(tile);
    case Fetch::kFirst: return multiply_tile<T, V, NV, M, Fetch::kFirst, false>(tile);
    case Fetch::kX:
      return spread ? multiply_tile<T, V, NV, M, Fetch::kX, true>(tile) : multiply_tile<T, V, NV, M, Fetch::kX, false>(tile);
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

// One or two vectors of so many lanes: a whole vector, or a half.
template <class T>
void multiply_vectors(int lanes, int vectors, int rows, const Tile<T>& tile) {
  constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
  if (lanes == V) return vectors == 2 ? multiply<T, V, 2>(rows, tile) : multiply<T, V, 1>(rows, tile);
  if constexpr (H < V) vectors == 2 ? multiply<T, H, 2>(rows, tile) : multiply<T, H, 1>(rows, tile);
}

// The same where lanes lie side by side.
template <class T>
void multiply_lanes(int lanes, int rows, const Tile<T>& tile) {
  constexpr int V = Lanes<T>::kVector;
  multiply_vectors<T>(lanes < V ? lanes : V, lanes > V ? 2 : 1, rows, tile);
}

// A constant size lets the compiler make it vector moves.
template <class T>
inline void copy_lanes(int lanes, const T* from, T* to) {
  constexpr int V = Lanes<T>::kVector;
  if (lanes == 2 * V) __builtin_memcpy(to, from, 2 * V * sizeof(T));
  else if (lanes == V) __builtin_memcpy(to, from, V * sizeof(T));
  else __builtin_memcpy(to, from, Lanes<T>::kLeast * sizeof(T));
}

// Few numbers, without a call: whole parts, of which the last ends where they do. (A vector with a mask is slower to write.)
template <class T, int V = Lanes<T>::kVector>
inline void copy_few(const T* from, i64 count, T* to) {
  if (count < V) {
    if constexpr (V > 1) copy_few<T, V / 2>(from, count, to);
    return;
  }
  i64 i = 0;
  for (; i + V <= count; i += V) __builtin_memcpy(to + i, from + i, V * sizeof(T));
  if (i < count) __builtin_memcpy(to + count - V, from + count - V, V * sizeof(T));
}

// Of what is left the next of equal parts, none larger than `most`.
inline i64 next_part(i64 left, i64 most) {
  const i64 parts = (left + most - 1) / most;
  return (left + parts - 1) / parts;
}

// Rows of the next tile.
inline int next_rows(i64 left) { return static_cast<int>(next_part(left, kMostRows)); }

}  // namespace cv::CV_ISA
