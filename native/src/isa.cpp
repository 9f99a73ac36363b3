// Compiled once for each instruction set, which CV_ISA names: the maps for every dtype.
#include "correlate_lines.hpp"
#include "forward.hpp"
#include "grad_input.hpp"
#include "grad_weight.hpp"
#include "maps.hpp"
#include "sum_lines.hpp"

namespace cv::CV_ISA {

template <class S>
cv_way way(const cv_problem& p, cv_map map, bool lines) {
  using T = Computed<S>;
  if (const int asked = p.way & (CV_GATHERED | CV_NEIGHBOURS | (lines ? CV_LINES : 0))) return static_cast<cv_way>(asked);
  const bool weight = map == CV_GRAD_WEIGHT;
  if (lines && (weight ? sums_along_lines<T>(p) : goes_along_lines<T>(p, map == CV_GRAD_INPUT))) return CV_LINES;
  return (weight ? are_small(p) || sums_stay<T>(p) : reads_apart(p)) ? CV_NEIGHBOURS : CV_GATHERED;
}

template <class S>
constexpr Maps maps() {
  return {forward<S>, grad_input<S>, grad_weight<S>, way<S>, correlate_lines<S>, sum_lines<S>};
}

extern const Maps table[] = {
    maps<float>(),
    maps<double>(),
    maps<BFloat16>(),
    maps<Float16>(),
};

}  // namespace cv::CV_ISA
