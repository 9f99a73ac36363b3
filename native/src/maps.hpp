// The table of one instruction set: its three maps for each dtype. One file is compiled once for each of them.
#pragma once

#include "convarium.h"

namespace cv {

constexpr int kNotFinite = -1;  // a number is infinite, or none

struct Maps {
  int (*forward)(const cv_problem&, const cv_tensor& input, const void* weight, const cv_tensor& output, int threads);
  int (*grad_input)(const cv_problem&, const cv_tensor& grad_output, const void* weight, const cv_tensor& grad_input,
                    int threads);
  int (*grad_weight)(const cv_problem&, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads);
  // The way that suits a problem, one of tables or that along the lines too.
  cv_way (*way)(const cv_problem&, cv_map, bool lines);
  // The same along the lines of samples, for a problem as a whole.
  int (*correlate_lines)(const cv_problem&, bool back, const cv_tensor& from, const void* weight, const cv_tensor& to,
                         int threads);
  int (*sum_lines)(const cv_problem&, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads);
};

struct Isa {
  const char* name;
  bool (*available)();
  const Maps* maps;  // by dtype
};

}  // namespace cv
