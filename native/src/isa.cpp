// Compiled once for each instruction set, which CV_ISA names: the maps for every dtype.
#include "forward.hpp"
#include "grad_input.hpp"
#include "grad_weight.hpp"
#include "maps.hpp"

namespace cv::CV_ISA {

extern const Maps table[] = {
    {forward<float>, grad_input<float>, grad_weight<float>},
    {forward<double>, grad_input<double>, grad_weight<double>},
    {forward<BFloat16>, grad_input<BFloat16>, grad_weight<BFloat16>},
    {forward<Float16>, grad_input<Float16>, grad_weight<Float16>},
};

}  // namespace cv::CV_ISA
