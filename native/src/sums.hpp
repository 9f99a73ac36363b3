// Sums with outputs innermost, and how they are turned over to the order of the weights.
#pragma once

#include "outward.hpp"

namespace cv::CV_ISA {

// A corner of sums, a row of C outputs for each of C elements of a window that lie side by side: to the weights of the first
// `outputs` of them, `row` after `first`, added to what is there, or past the cache.
template <class S, int C>
inline void write_corner(typename Vector<Computed<S>, C>::type (&corner)[C], S* first, const i64* row, i64 outputs, bool add,
                         bool past) {
  using T = Computed<S>;
  turn<C, C / 2>(corner);
  if constexpr (!kIsHalf<S>) {
    if (past && outputs >= C) {
      for (int m = 0; m < C; ++m) stream<T, C>(first + row[m], corner[m]);
      return;
    }
  }
  if (add)
    for (int m = 0; m < C && m < outputs; ++m) corner[m] += read<C>(first + row[m]);
  if (outputs >= C)
    for (int m = 0; m < C; ++m) write<C>(first + row[m], corner[m]);
  else
    for (int m = 0; m < outputs; ++m) write<C>(first + row[m], corner[m]);
}

// Sums of a group, a row of outputs for each of some elements of a window, and where they go: an output's weights lie `row` after
// the kernel's first, and that of element k `at[k]` after those.
template <class T>
struct Sums {
  const T* values;
  Group group;
  i64 outputs;  // of the group that there are
  Range some;
  const i64 *row, *at;
  bool side_by_side;
  bool add, past;  // to what is there, or past the cache
};

template <int V, class S, class T>
void turn_sums(const Sums<T>& sums, S* kernel) {
  using Vec = typename Vector<T, V>::type;
  for (i64 o = 0; o < sums.outputs; o += V)
    for (i64 k = sums.some.begin; k < sums.some.end; k += V) {
      const i64 rows = sums.some.end - k, outputs = sums.outputs - o;
      const T* const from = sums.values + (k - sums.some.begin) * sums.group.width + o;
      const auto row = [&](int r) { return load<T, V>(from + r * sums.group.width); };
      if (rows >= V && sums.side_by_side) {
        Vec corner[V];
        for (int r = 0; r < V; ++r) corner[r] = row(r);
        write_corner<S>(corner, kernel + sums.at[k], sums.row + o, outputs, sums.add, sums.past);
        continue;
      }
      T corner[V * V];
      turn_rows<V>([&](int r) { return r < rows ? row(r) : Vec{}; }, V, corner, V);
      for (i64 m = 0; m < outputs && m < V; ++m)
        for (i64 r = 0; r < rows && r < V; ++r) {
          S& to = kernel[sums.row[o + m] + sums.at[k + r]];
          to = narrow<S>(sums.add ? widen(to) + corner[m * V + r] : corner[m * V + r]);
        }
    }
}

template <class S, class T>
void turn_sums(const Sums<T>& sums, S* kernel) {
  if (sums.group.width >= Lanes<T>::kVector) turn_sums<Lanes<T>::kVector>(sums, kernel);
  else turn_sums<Lanes<T>::kLeast>(sums, kernel);
}

}  // namespace cv::CV_ISA
