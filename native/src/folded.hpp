// A line alone, folded: cut in as many segments as a vector has lanes, each in a lane of its own, so that neighbours lie under
// each other. What is read of a row serves every tap of the kernel then, and no vector reaches over a line of the cache; along
// the line each tap would read its own, and most of these would.
#pragma once

#include <utility>

#include "transpose.hpp"

namespace cv::CV_ISA {

// The same with the line downwards, as the direction whose neighbours lie under each other.
inline cv_problem downwards(cv_problem p) {
  std::swap(p.axes[1], p.axes[2]);
  return p;
}
inline cv_tensor downwards(cv_tensor tensor) {
  std::swap(tensor.strides[3], tensor.strides[4]);
  return tensor;
}

// Rows from a line of which elements up to row + V * segment may be read: row r has what is r places into each segment.
template <class T>
void fold(const T* line, i64 segment, i64 rows, T* to) {
  constexpr int V = Lanes<T>::kVector;
  transpose(line, segment, V, rows, to, V, {rows + V, V});
}

// Results of some rows, from `row` on, back to the line of `count`; `to` is the place of the first of them.
template <class T, class S>
void unfold(const T* from, i64 row, i64 rows, i64 segment, i64 count, S* to, i64 step) {
  constexpr i64 V = Lanes<T>::kVector;
  i64 whole = 0;  // segments that have all of the rows
  if (step == 1 && count >= row + rows) {
    const i64 all = (count - row - rows) / segment + 1;
    whole = all < V ? all : V;
    transpose(from, V, rows, whole, to, segment, {V, rows});
  }
  for (i64 lane = whole; lane < V; ++lane)
    for (i64 r = 0; r < rows && lane * segment + row + r < count; ++r)
      to[(lane * segment + r) * step] = narrow<S>(from[r * V + lane]);
}

}  // namespace cv::CV_ISA
