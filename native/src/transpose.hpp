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

// The sum of each row's lanes, as rows[0].
template <int V, int H, class Vec>
inline void add_turned(Vec (&rows)[V]) {
  for (int r = 0; r < H; ++r) {
    exchange<V, H>(rows[r], rows[r + H], std::make_index_sequence<V>{});
    rows[r] += rows[r + H];
  }
  if constexpr (H > 1) add_turned<V, H / 2>(rows);
}

// Elements of a row that may be read, its columns and what lies after them; and elements of a turned row that may be written, of
// which those past the rows become zeros.
struct Room {
  i64 read, write;
};

// to[c * to_step + r] = row(r)[c] for a corner of V by V, of which some columns may be missing.
template <int V, class To, class Row>
inline void turn_rows(Row row, i64 columns, To* to, i64 to_step) {
  typename Vector<Computed<To>, V>::type corner[V];
  for (int r = 0; r < V; ++r) corner[r] = row(r);
  turn<V, V / 2>(corner);
  if (columns >= V)
    for (int c = 0; c < V; ++c) write<V>(to + c * to_step, corner[c]);
  else
    for (int c = 0; c < columns; ++c) write<V>(to + c * to_step, corner[c]);
}

// The same of rows that lie equally spaced, and may be missing too.
template <int V, class From, class To>
inline void transpose_corner(const From* from, i64 from_step, i64 rows, i64 columns, To* to, i64 to_step) {
  using Vec = typename Vector<Computed<From>, V>::type;
  turn_rows<V>([&](int r) { return r < rows ? read<V>(from + r * from_step) : Vec{}; }, columns, to, to_step);
}

template <class From, class To>
inline void transpose_scalars(const From* from, i64 from_step, i64 rows, i64 columns, To* to, i64 to_step, i64 written) {
  for (i64 c = 0; c < columns; ++c) {
    for (i64 r = 0; r < rows; ++r) to[c * to_step + r] = narrow<To>(widen(from[r * from_step + c]));
    for (i64 r = rows; r < written; ++r) to[c * to_step + r] = To{};
  }
}

template <class From, class To>
void transpose(const From* from, i64 from_step, i64 rows, i64 columns, To* to, i64 to_step, Room room) {
  constexpr int V = Lanes<Computed<From>>::kVector, H = V > 4 ? V / 2 : V;
  for (i64 r = 0; r < room.write;) {
    const int height = room.write - r >= V ? V : room.write - r >= H ? H : static_cast<int>(room.write - r);
    for (i64 c = 0; c < columns;) {
      const From* const corner = from + r * from_step + c;
      To* const turned = to + c * to_step + r;
      if (height == V && room.read - c >= V) {
        transpose_corner<V>(corner, from_step, rows - r, columns - c, turned, to_step);
        c += V;
      } else if (height >= H && room.read - c >= H) {
        for (int part = 0; part < height; part += H)
          transpose_corner<H>(corner + part * from_step, from_step, rows - r - part, columns - c, turned + part, to_step);
        c += H;
      } else {
        const i64 valid = rows - r < 0 ? 0 : rows - r < height ? rows - r : height;
        transpose_scalars(corner, from_step, valid, columns - c < H ? columns - c : H, turned, to_step, height);
        c += H;
      }
    }
    r += height;
  }
}

}  // namespace cv::CV_ISA
