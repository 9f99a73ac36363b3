// forward and grad_input of CV_NEIGHBOURS: where few outputs read alike, either all that read a channel are worked on at once, or
// positions that are neighbours.
#pragma once

#include "correlate.hpp"
#include "fans.hpp"

namespace cv::CV_ISA {

template <class S, bool Back>
int neighbours(const cv_problem& p, const cv_tensor& from, const void* weight, const cv_tensor& to, int threads) {
  return are_fans(p) ? in_fans<S, Back>(p, from, weight, to, threads) : correlate<S>(p, Back, from, weight, to, threads);
}

}  // namespace cv::CV_ISA
