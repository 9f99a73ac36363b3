// Which instruction sets this processor has and the operating system keeps the registers of: asked with CPUID itself, since
// compilers differ in what their built-in question knows and Windows' runtime has no answer for it.
#pragma once

#if defined(__x86_64__)

#include <cpuid.h>

namespace cv {

struct Cpu {
  bool avx2 = false, avx512 = false;

  Cpu() {
    constexpr unsigned kFma = 1u << 12, kSaved = 1u << 27, kHalves = 1u << 29;  // leaf 1, ecx
    constexpr unsigned kAvx2 = 1u << 5;                                         // leaf 7, ebx
    constexpr unsigned kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;     // F, DQ, BW, VL
    constexpr unsigned kVectors = 0x06, kWide = 0xe6;                           // the registers that are kept
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (kFma | kSaved | kHalves)) != (kFma | kSaved | kHalves)) return;
    unsigned kept, high;
    __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    avx2 = (kept & kVectors) == kVectors && (b & kAvx2);
    avx512 = avx2 && (kept & kWide) == kWide && (b & kAvx512) == kAvx512;
  }
};

inline const Cpu& cpu() {
  static const Cpu found;
  return found;
}

}  // namespace cv

#endif
