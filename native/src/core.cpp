// The C face: which instruction set, and on to its maps.
#include <cstdlib>
#include <cstring>

#include "convarium.h"
#include "cpu.hpp"
#include "maps.hpp"
#include "slabs.hpp"

namespace cv {

#if defined(__x86_64__)
namespace avx512 {
extern const Maps table[];
}
namespace avx2 {
extern const Maps table[];
}
namespace baseline {
extern const Maps table[];
}
#elif defined(__aarch64__)
namespace neon {
extern const Maps table[];
}
#else
namespace baseline {
extern const Maps table[];
}
#endif

namespace {

bool always() { return true; }

const Isa kIsas[] = {
#if defined(__x86_64__)
    {"avx512", [] { return cpu().avx512; }, avx512::table},
    {"avx2", [] { return cpu().avx2; }, avx2::table},
    {"baseline", always, baseline::table},
#elif defined(__aarch64__)
    {"neon", always, neon::table},
#else
    {"baseline", always, baseline::table},
#endif
};
constexpr int kCount = sizeof(kIsas) / sizeof(kIsas[0]);

const Isa& chosen() {
  static const Isa& isa = []() -> const Isa& {
    const char* asked = std::getenv("CONVARIUM_ISA");
    for (const Isa& each : kIsas)
      if (each.available() && (!asked || !*asked || !std::strcmp(asked, each.name))) return each;
    for (const Isa& each : kIsas)
      if (each.available()) return each;
    return kIsas[kCount - 1];
  }();
  return isa;
}

const Maps& maps_of(const cv_problem& problem) { return chosen().maps[problem.dtype]; }

bool has_dtype(const cv_problem& problem) { return problem.dtype >= CV_FLOAT32 && problem.dtype <= CV_FLOAT16; }

// One map: along the lines where that is best, all numbers are finite and there is memory; else in slabs, laid out as suits the
// whole. Calls slab(problem, input, output, weight) for each.
template <class Lines, class F>
int run(const cv_problem& problem, cv_map map, const cv_tensor& input, const cv_tensor& output, const void* weight,
        Lines along_lines, F slab) {
  constexpr i64 kBytes[] = {4, 8, 2, 2};
  if (!has_dtype(problem)) return CV_NO_DTYPE;
  if (maps_of(problem).way(problem, map, true) == CV_LINES)
    if (along_lines() == CV_OK) return CV_OK;
  cv_problem laid_out = problem;
  laid_out.way = maps_of(problem).way(problem, map, false) | (problem.way & CV_IN_SLABS);
  const i64 bytes = kBytes[problem.dtype];
  const auto at = [&](cv_tensor tensor, i64 offset) {
    tensor.data = static_cast<char*>(tensor.data) + offset * bytes;
    return tensor;
  };
  return Slabs(laid_out, map, input, output).each([&](const Slab& part) {
    return slab(part.problem, at(input, part.input), at(output, part.output),
                static_cast<const char*>(weight) + part.weight * bytes);
  });
}

}  // namespace
}  // namespace cv

extern "C" {

int cv_forward(const cv_problem* problem, const cv_tensor* input, const void* weight, const cv_tensor* output, int threads) {
  const auto lines = [&] { return cv::maps_of(*problem).correlate_lines(*problem, false, *input, weight, *output, threads); };
  return cv::run(*problem, CV_FORWARD, *input, *output, weight, lines,
                 [&](const cv_problem& p, const cv_tensor& in, const cv_tensor& out, const void* w) {
                   return cv::maps_of(p).forward(p, in, w, out, threads);
                 });
}

int cv_grad_input(const cv_problem* problem, const cv_tensor* grad_output, const void* weight, const cv_tensor* grad_input,
                  int threads) {
  const auto lines = [&] {
    return cv::maps_of(*problem).correlate_lines(*problem, true, *grad_output, weight, *grad_input, threads);
  };
  return cv::run(*problem, CV_GRAD_INPUT, *grad_input, *grad_output, weight, lines,
                 [&](const cv_problem& p, const cv_tensor& in, const cv_tensor& out, const void* w) {
                   return cv::maps_of(p).grad_input(p, out, w, in, threads);
                 });
}

int cv_grad_weight(const cv_problem* problem, const cv_tensor* input, const cv_tensor* grad_output, void* grad_weight,
                   int threads) {
  const auto lines = [&] { return cv::maps_of(*problem).sum_lines(*problem, *input, *grad_output, grad_weight, threads); };
  return cv::run(*problem, CV_GRAD_WEIGHT, *input, *grad_output, grad_weight, lines,
                 [&](const cv_problem& p, const cv_tensor& in, const cv_tensor& out, const void* w) {
                   return cv::maps_of(p).grad_weight(p, in, out, const_cast<void*>(w), threads);
                 });
}

int cv_way_of(const cv_problem* problem, int map) {
  return cv::has_dtype(*problem) ? cv::maps_of(*problem).way(*problem, static_cast<cv_map>(map), true) : CV_BEST_WAY;
}

int cv_abi(void) { return CONVARIUM_ABI; }
const char* cv_isa_name(int index) { return index >= 0 && index < cv::kCount ? cv::kIsas[index].name : nullptr; }
int cv_isa_available(int index) { return index >= 0 && index < cv::kCount && cv::kIsas[index].available(); }
const char* cv_isa(void) { return cv::chosen().name; }
}
