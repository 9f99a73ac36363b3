// grad_weight[o, r, k] = sum over samples, and positions whose kernel is r, of grad_output * window. Threads share out kernels,
// and where these are few, what they read: each weight is summed by one thread.
#pragma once

#include "accumulate.hpp"
#include "own_kernels.hpp"
#include "turned_sums.hpp"
#include "turned_windows.hpp"

namespace cv::CV_ISA {

// Whether windows are turned over, and not sums: a sum has one position, and outputs fill no vector, or there are many of them to
// read a window that stays in a core's first cache.
template <class T>
bool turns_windows(const cv_problem& p) {
  constexpr i64 kFirstCache = 28 * 1024;
  const i64 outputs = most_outputs(p), window = largest_window(p) * p.batch * static_cast<i64>(sizeof(T));
  return are_own(p) && (outputs < Lanes<T>::kLeast || (outputs >= Lanes<T>::kMost && window <= kFirstCache));
}

template <class S>
int grad_weight(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  if (!count_of_blocks(p)) return CV_OK;  // there are no weights
  const bool neighbours = p.way & CV_NEIGHBOURS;
  const auto sum = neighbours                      ? are_own(p) ? sum_own<S> : accumulate<S>
                   : turns_windows<Computed<S>>(p) ? with_turned_windows<S>
                                                   : with_turned_sums<S>;
  return sum(p, input, grad_output, grad_weight, threads);
}

}  // namespace cv::CV_ISA
