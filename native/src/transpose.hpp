// Square corners turned over in registers: rows of vectors become columns.
#pragma once

#include <utility>

#include "numbers.hpp"

namespace cv::CV_ISA {

// Of two rows, `h` apart: the first keeps its lanes without bit h, and takes the second's for the others.
template <int V, int H, class Vec, std::size_t... L>
inline void exchange(Vec& first, Vec& second, std::index_sequence<L...>) {
  const Vec low = __builtin_shufflevector(first, second, ((L & H) ? static_cast<int>(L) - H + V : static_cast<int>(L))...);
  const Vec high = __builtin_shufflevector(first, second, ((L & H) ? static_cast<int>(L) + V : static_cast<int>(L) + H)...);
  first = low;
  second = high;
}

template <int V, int H, class Vec>
inline void turn(Vec (&rows)[V]) {
  for (int r = 0; r < V; ++r)
    if (!(r & H)) exchange<V, H>(rows[r], rows[r + H], std::make_index_sequence<V>{});
  if constexpr (H > 1) turn<V, H / 2>(rows);
}

// to[c * to_step + r] = from[r * from_step + c]; rows and columns past their number are read as 0 and not written.
template <class From, class To>
inline void transpose_corner(const From* from, i64 from_step, i64 rows, i64 columns, To* to, i64 to_step) {
  using T = Computed<From>;
  constexpr int V = Lanes<T>::kVector;
  typename Vector<T, V>::type corner[V];
  if (rows >= V && columns >= V) {
    for (int r = 0; r < V; ++r) corner[r] = read<V>(from + r * from_step);
    turn<V, V / 2>(corner);
    for (int c = 0; c < V; ++c) write<V>(to + c * to_step, corner[c]);
    return;
  }
  const i64 height = rows < V ? rows : V, width = columns < V ? columns : V;
  for (i64 r = 0; r < height; ++r)
    for (i64 c = 0; c < width; ++c) to[c * to_step + r] = narrow<To>(widen(from[r * from_step + c]));
}

template <class From, class To>
void transpose(const From* from, i64 from_step, i64 rows, i64 columns, To* to, i64 to_step) {
  constexpr int V = Lanes<Computed<From>>::kVector;
  for (i64 r = 0; r < rows; r += V)
    for (i64 c = 0; c < columns; c += V)
      transpose_corner(from + r * from_step + c, from_step, rows - r, columns - c, to + c * to_step + r, to_step);
}

}  // namespace cv::CV_ISA
