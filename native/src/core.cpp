// The C face: which instruction set, and on to its maps.
#include <cstdlib>
#include <cstring>

#include "convarium.h"
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
    {"avx512",
     [] { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"); },
     avx512::table},
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"); },
     avx2::table},
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

// Calls map(maps, problem, input, output, weight) for each part of a problem.
template <class F>
int in_slabs(const cv_problem& problem, Map map, const cv_tensor& input, const cv_tensor& output, const void* weight, F call) {
  constexpr i64 kBytes[] = {4, 8, 2, 2};
  const i64 bytes = kBytes[problem.dtype];
  const auto at = [&](cv_tensor tensor, i64 offset) {
    tensor.data = static_cast<char*>(tensor.data) + offset * bytes;
    return tensor;
  };
  return Slabs(problem, map, input, output).each([&](const Slab& slab) {
    return call(maps_of(problem), slab.problem, at(input, slab.input), at(output, slab.output),
                static_cast<const char*>(weight) + slab.weight * bytes);
  });
}

}  // namespace
}  // namespace cv

extern "C" {

int cv_forward(const cv_problem* problem, const cv_tensor* input, const void* weight, const cv_tensor* output, int threads) {
  if (!cv::has_dtype(*problem)) return CV_NO_DTYPE;
  const int status = cv::maps_of(*problem).correlate_lines(*problem, false, *input, weight, *output, threads);
  if (status != cv::kDeclined) return status;
  return cv::in_slabs(*problem, cv::Map::kForward, *input, *output, weight,
                      [&](const auto& maps, const auto& p, const auto& in, const auto& out, const void* w) {
                        return maps.forward(p, in, w, out, threads);
                      });
}

int cv_grad_input(const cv_problem* problem, const cv_tensor* grad_output, const void* weight, const cv_tensor* grad_input,
                  int threads) {
  if (!cv::has_dtype(*problem)) return CV_NO_DTYPE;
  const int status = cv::maps_of(*problem).correlate_lines(*problem, true, *grad_output, weight, *grad_input, threads);
  if (status != cv::kDeclined) return status;
  return cv::in_slabs(*problem, cv::Map::kGradInput, *grad_input, *grad_output, weight,
                      [&](const auto& maps, const auto& p, const auto& in, const auto& out, const void* w) {
                        return maps.grad_input(p, out, w, in, threads);
                      });
}

int cv_grad_weight(const cv_problem* problem, const cv_tensor* input, const cv_tensor* grad_output, void* grad_weight,
                   int threads) {
  if (!cv::has_dtype(*problem)) return CV_NO_DTYPE;
  const int status = cv::maps_of(*problem).sum_lines(*problem, *input, *grad_output, grad_weight, threads);
  if (status != cv::kDeclined) return status;
  return cv::in_slabs(*problem, cv::Map::kGradWeight, *input, *grad_output, grad_weight,
                      [&](const auto& maps, const auto& p, const auto& in, const auto& out, const void* w) {
                        return maps.grad_weight(p, in, out, const_cast<void*>(w), threads);
                      });
}

int cv_way_of(const cv_problem* problem, int map) {
  return cv::has_dtype(*problem) ? cv::maps_of(*problem).way(*problem, static_cast<cv_map>(map)) : CV_BEST_WAY;
}

int cv_abi(void) { return CONVARIUM_ABI; }
const char* cv_isa_name(int index) { return index >= 0 && index < cv::kCount ? cv::kIsas[index].name : nullptr; }
int cv_isa_available(int index) { return index >= 0 && index < cv::kCount && cv::kIsas[index].available(); }
const char* cv_isa(void) { return cv::chosen().name; }
}
