// The table of one instruction set: its three maps for each dtype. One file is compiled once for each of them.
#pragma once

#include "convarium.h"

namespace cv {

struct Maps {
  int (*forward)(const cv_problem&, const cv_tensor& input, const void* weight, const cv_tensor& output, int threads);
  int (*grad_input)(const cv_problem&, const cv_tensor& grad_output, const void* weight, const cv_tensor& grad_input,
                    int threads);
  int (*grad_weight)(const cv_problem&, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads);
};

struct Isa {
  const char* name;
  bool (*available)();
  const Maps* maps;  // by dtype
};

}  // namespace cv
