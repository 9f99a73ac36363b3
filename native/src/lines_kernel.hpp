// The two small kernels whose vectors run along the lines of a sample. Several lines are worked on at once: what is read of a
// line serves every tap of a column of the kernel, and so loads are few beside the products.
#pragma once

#include "transpose.hpp"

namespace cv::CV_ISA {

constexpr int kMostLines = 8;
constexpr int kMostChunk = 4;                         // taps in a column that are worked on at once
constexpr int kLineVectors = kManyRegisters ? 2 : 1;  // of a line
constexpr int kChunksOf[kMostChunk + 1] = {0, kManyRegisters ? 6 : 4, kManyRegisters ? 4 : 2, kManyRegisters ? 3 : 1,
                                           kManyRegisters ? 3 : 1};  // whose sums are held at once, by their taps
constexpr int kMostTogether = kChunksOf[1];

// Taps that read neighbouring lines, in runs of one to four: those of m taps are begin[m - 1] to end[m - 1] of all.
struct Chunks {
  i64 begin[kMostChunk], end[kMostChunk];
};

// out[r * out_pitch + v * apart] = sum over wires and taps of weight * x[(r + m) * pitch + v * apart], for lines r and vectors v.
template <class T>
struct Lines {
  i64 wires;
  const i64 *wire_weight, *wire_from;
  const Chunks* chunks;
  const i64 *chunk_weight, *chunk_from;  // kMostChunk weights to a chunk
  const T* weight;
  const T* x;
  i64 pitch, apart;
  T* out;
  i64 out_pitch;
  bool top, bottom;  // whether lines that not all taps of a chunk read, at the first and the last, hold anything
};

template <class T, int V, int NV, int R, int M, bool Cut>
[[gnu::always_inline]] inline void add_chunks(const Lines<T>& lines, const T* weight, const T* x,
                                              typename Vector<T, V>::type (&sum)[R][NV]) {
  using Vec = typename Vector<T, V>::type;
  const i64 pitch = lines.pitch, apart = lines.apart;
  for (i64 chunk = lines.chunks->begin[M - 1]; chunk < lines.chunks->end[M - 1]; ++chunk) {
    T w[M];
    for (int m = 0; m < M; ++m) w[m] = weight[lines.chunk_weight[chunk * kMostChunk + m]];
    const T* from = x + lines.chunk_from[chunk];
    if constexpr (Cut) {  // with each line a constant: a compiler would keep sums in memory otherwise
      const auto add = [&]<int Line>(std::integral_constant<int, Line>) {
        Vec xs[NV];
        for (int v = 0; v < NV; ++v) hold(xs[v] = load<T, V>(from + Line * pitch + v * apart));
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m)
          if (Line - m >= 0 && Line - m < R)
            for (int v = 0; v < NV; ++v) sum[Line - m][v] += w[m] * xs[v];
      };
      const auto some = [&]<int First, int... L>(std::integral_constant<int, First>, std::integer_sequence<int, L...>) {
        (add(std::integral_constant<int, First + L>{}), ...);
      };
      constexpr int kPartly = M - 1 < R ? M - 1 : R, kLines = R + M - 1;
      if (lines.top) some(std::integral_constant<int, 0>{}, std::make_integer_sequence<int, kPartly>{});
      some(std::integral_constant<int, kPartly>{}, std::make_integer_sequence<int, kLines - 2 * kPartly>{});
      if (lines.bottom) some(std::integral_constant<int, kLines - kPartly>{}, std::make_integer_sequence<int, kPartly>{});
      continue;
    }
#pragma GCC unroll 16
    for (int line = 0; line < R + M - 1; ++line, from += pitch) {
      Vec xs[NV];
      for (int v = 0; v < NV; ++v) hold(xs[v] = load<T, V>(from + v * apart));
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m)
        if (line - m >= 0 && line - m < R)
          for (int v = 0; v < NV; ++v) sum[line - m][v] += w[m] * xs[v];
    }
  }
}

template <class T, int V, int NV, int R, bool Cut>
void multiply_lines(const Lines<T>& lines) {
  using Vec = typename Vector<T, V>::type;
  Vec sum[R][NV];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) sum[r][v] = Vec{};
  for (int r = 0; r < R; ++r)
    for (int v = 0; v <= NV; ++v)
      __builtin_prefetch(lines.out + r * lines.out_pitch + (v < NV ? v * lines.apart : (NV - 1) * lines.apart + V - 1), 1, 3);
  for (i64 wire = 0; wire < lines.wires; ++wire) {
    const T* const weight = lines.weight + lines.wire_weight[wire];
    const T* const x = lines.x + lines.wire_from[wire];
    add_chunks<T, V, NV, R, 1, Cut>(lines, weight, x, sum);
    add_chunks<T, V, NV, R, 2, Cut>(lines, weight, x, sum);
    add_chunks<T, V, NV, R, 3, Cut>(lines, weight, x, sum);
    add_chunks<T, V, NV, R, 4, Cut>(lines, weight, x, sum);
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) store<T, V>(lines.out + r * lines.out_pitch + v * lines.apart, sum[r][v]);
}

template <class T, int V, int NV, int... R>
void multiply_lines(i64 count, const Lines<T>& lines, std::integer_sequence<int, R...>) {
  static constexpr void (*whole[])(const Lines<T>&) = {multiply_lines<T, V, NV, R + 1, false>...};
  if constexpr (NV == 1) {  // of two vectors there would be no registers left to skip lines with
    static constexpr void (*cut[])(const Lines<T>&) = {multiply_lines<T, V, NV, R + 1, true>...};
    if (!lines.top || !lines.bottom) return cut[count - 1](lines);
  }
  whole[count - 1](lines);
}

template <class T>
void multiply_lines(i64 lanes, i64 vectors, i64 count, const Lines<T>& lines) {
  constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
  constexpr auto all = std::make_integer_sequence<int, kMostLines>{};
  if (lanes == H && H < V) return multiply_lines<T, H, 1>(count, lines, all);
  if constexpr (kLineVectors == 2)
    if (vectors == 2) return multiply_lines<T, V, 2>(count, lines, all);
  multiply_lines<T, V, 1>(count, lines, all);
}

// sums[n * M + m] = sum over sheets, lines and columns of g[line * g_pitch + column] * x[from[n] + (line + m) * pitch + column].
template <class T>
struct LineSums {
  const T* g;
  i64 g_pitch;
  const T* x;
  const i64* from;
  i64 pitch;
  i64 sheets, g_sheet, sheet;
  i64 lines, columns;  // of whole blocks and vectors
  T* sums;
};

// The sum of the lanes of each of `Count` vectors, in the lane of its number: pairs of vectors are halved until one is left.
// Where there are fewer vectors than lanes the rest is anything.
template <int V, int H, int Count, class Vec>
[[gnu::always_inline]] inline Vec sum_lanes(const Vec (&values)[Count]) {
  if constexpr (H == 0) {
    return values[0];
  } else {
    constexpr int kKept = Count < H ? Count : H;
    Vec halved[kKept];
    for (int i = 0; i < kKept; ++i) {
      Vec first = values[i], second = values[i + H < Count ? i + H : i];
      exchange<V, H>(first, second, std::make_index_sequence<V>{});
      halved[i] = first + second;
    }
    return sum_lanes<V, H / 2>(halved);
  }
}

// The same for any number of vectors; whole vectors of sums are written.
template <class T, int V, int Count, class Vec>
[[gnu::always_inline]] inline void sum_all_lanes(const Vec (&values)[Count], T* sums) {
  constexpr int kNow = Count < V ? Count : V;
  Vec now[kNow];
  for (int k = 0; k < kNow; ++k) now[k] = values[k];
  store<T, V>(sums, sum_lanes<V, V / 2>(now));
  if constexpr (Count > V) {
    Vec rest[Count - V];
    for (int k = V; k < Count; ++k) rest[k - V] = values[k];
    sum_all_lanes<T, V>(rest, sums + V);
  }
}

template <class T, int V, int R, int N, int M>
void sum_products(const LineSums<T>& area) {
  using Vec = typename Vector<T, V>::type;
  Vec sum[N][M];
  for (int n = 0; n < N; ++n)
    for (int m = 0; m < M; ++m) sum[n][m] = Vec{};
  for (i64 sheet = 0; sheet < area.sheets; ++sheet)
    for (i64 line = 0; line < area.lines; line += R)
      for (i64 column = 0; column < area.columns; column += V) {
        const T* const g_at = area.g + sheet * area.g_sheet + line * area.g_pitch + column;
        const T* const x_at = area.x + sheet * area.sheet + line * area.pitch + column;
        Vec g[R];
        for (int r = 0; r < R; ++r) g[r] = load<T, V>(g_at + r * area.g_pitch);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) {
          const T* from = x_at + area.from[n];
#pragma GCC unroll 16
          for (int r = 0; r < R + M - 1; ++r, from += area.pitch) {
            Vec xs = load<T, V>(from);
            hold(xs);
#pragma GCC unroll 4
            for (int m = 0; m < M; ++m)
              if (r - m >= 0 && r - m < R) sum[n][m] += g[r - m] * xs;
          }
        }
      }
  Vec flat[N * M];
  for (int k = 0; k < N * M; ++k) flat[k] = sum[k / M][k % M];
  sum_all_lanes<T, V>(flat, area.sums);
}

// Lines that are worked on at once: one of these, whichever leaves the fewest over.
constexpr int kLineBlocks[] = {8, 7, 6, 4, 2};

template <class T, int V, int R>
void sum_products(i64 chunks, i64 taps, const LineSums<T>& area) {
  switch (taps) {
    case 1: return chunks == 1 ? sum_products<T, V, R, 1, 1>(area) : sum_products<T, V, R, kChunksOf[1], 1>(area);
    case 2: return chunks == 1 ? sum_products<T, V, R, 1, 2>(area) : sum_products<T, V, R, kChunksOf[2], 2>(area);
    case 3: return chunks == 1 ? sum_products<T, V, R, 1, 3>(area) : sum_products<T, V, R, kChunksOf[3], 3>(area);
    case 4: return chunks == 1 ? sum_products<T, V, R, 1, 4>(area) : sum_products<T, V, R, kChunksOf[4], 4>(area);
  }
}

template <class T, int V>
void sum_products(i64 block, i64 chunks, i64 taps, const LineSums<T>& area) {
  switch (block) {
    case 8: return sum_products<T, V, 8>(chunks, taps, area);
    case 7: return sum_products<T, V, 7>(chunks, taps, area);
    case 6: return sum_products<T, V, 6>(chunks, taps, area);
    case 4: return sum_products<T, V, 4>(chunks, taps, area);
    case 2: return sum_products<T, V, 2>(chunks, taps, area);
  }
}

// Sums of one chunk, or of kChunksOf[taps] of them.
template <class T>
void sum_products(i64 lanes, i64 block, i64 chunks, i64 taps, const LineSums<T>& area) {
  if (lanes == Lanes<T>::kVector) sum_products<T, Lanes<T>::kVector>(block, chunks, taps, area);
  else sum_products<T, Lanes<T>::kLeast>(block, chunks, taps, area);
}

}  // namespace cv::CV_ISA
