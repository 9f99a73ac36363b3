// grad_weight[o, r, k] = sum over samples, and positions whose kernel is r, of grad_output * window. Threads share out kernels,
// and where these are few, what they read: each weight is summed by one thread.
#pragma once

#include "abreast.hpp"
#include "accumulate.hpp"
#include "own_kernels.hpp"
#include "turned_corners.hpp"
#include "turned_sums.hpp"

namespace cv::CV_ISA {

template <class S>
int grad_weight(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  if (!count_of_blocks(p)) return CV_OK;  // there are no weights
  const bool neighbours = p.way & CV_NEIGHBOURS;
  const auto own = goes_abreast<Computed<S>>(p) ? sum_own_abreast<S> : sum_own<S>;
  const auto sum = neighbours ? (are_own(p) ? own : accumulate<S>) : (are_own(p) ? with_turned_corners<S> : with_turned_sums<S>);
  return sum(p, input, grad_output, grad_weight, threads);
}

}  // namespace cv::CV_ISA
