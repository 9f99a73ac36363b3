// Numbers as they are kept, and as they are computed with: halves are widened to float when they are read, and rounded to the
// nearest (ties to even) once, when a result is written.
#pragma once

#include <type_traits>

#include "kernel.hpp"

namespace cv::CV_ISA {

struct BFloat16 {
  std::uint16_t bits;
};
struct Float16 {
  std::uint16_t bits;
};

template <class S>
constexpr bool kIsHalf = std::is_same_v<S, BFloat16> || std::is_same_v<S, Float16>;

// What numbers of S are computed in.
template <class S>
using Computed = std::conditional_t<kIsHalf<S>, float, S>;

inline float widen(BFloat16 value) { return __builtin_bit_cast(float, static_cast<std::uint32_t>(value.bits) << 16); }
inline float widen(Float16 value) {
  const std::uint32_t sign = (value.bits & 0x8000u) << 16, rest = (value.bits & 0x7fffu) << 13;
  if (rest >= 0x7c00u << 13) return __builtin_bit_cast(float, sign | 0x7f800000u | rest);  // infinity, no number
  const float scaled = __builtin_bit_cast(float, rest) * 0x1p112f;  // from one exponent's zero to the other's, small ones too
  return __builtin_bit_cast(float, sign | __builtin_bit_cast(std::uint32_t, scaled));
}
template <class T>
inline T widen(T value) {
  return value;
}

template <class S, class T>
inline S narrow(T value) {
  if constexpr (std::is_same_v<S, BFloat16>) {
    const auto bits = __builtin_bit_cast(std::uint32_t, value);
    return {static_cast<std::uint16_t>(value != value ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  } else if constexpr (std::is_same_v<S, Float16>) {
    const auto bits = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    std::uint32_t half;
    if (rest > 0x7f800000u) half = 0x7e00u;
    else if (rest >= 0x477ff000u) half = 0x7c00u;  // rounds to infinity
    else if (rest < 0x38800000u)
      half = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, rest) + 0.5f) - 0x3f000000u;  // small
    else half = (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1)) >> 13;
    return {static_cast<std::uint16_t>(sign | half)};
  } else {
    return value;
  }
}

// V numbers at once.
template <int V, class S>
inline auto read(const S* from) {
  using T = Computed<S>;
  if constexpr (!kIsHalf<S>) {
    return load<T, V>(from);
  } else if constexpr (std::is_same_v<S, BFloat16>) {
    using Wholes = typename Vector<std::uint32_t, V>::type;
    const Wholes bits = __builtin_convertvector(load<std::uint16_t, V>(&from->bits), Wholes) << 16;
    return __builtin_bit_cast(typename Vector<float, V>::type, bits);
  } else {
#if defined(__AVX512F__)
    if constexpr (V == 16)
      return __builtin_bit_cast(typename Vector<float, V>::type,
                                _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#endif
#if defined(__F16C__)
    if constexpr (V == 8)
      return __builtin_bit_cast(typename Vector<float, V>::type,
                                _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#endif
    typename Vector<float, V>::type values;
    for (int i = 0; i < V; ++i) values[i] = widen(from[i]);
    return values;
  }
}

template <int V, class S>
inline void write(S* to, typename Vector<Computed<S>, V>::type values) {
  if constexpr (!kIsHalf<S>) {
    store<S, V>(to, values);
  } else if constexpr (std::is_same_v<S, BFloat16>) {
    using Wholes = typename Vector<std::uint32_t, V>::type;
    const Wholes bits = __builtin_bit_cast(Wholes, values);
    const Wholes rounded = values != values ? Wholes{} + 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    store<std::uint16_t, V>(&to->bits, __builtin_convertvector(rounded, typename Vector<std::uint16_t, V>::type));
  } else {
#if defined(__AVX512F__)
    if constexpr (V == 16)
      return _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                                 _mm512_cvtps_ph(__builtin_bit_cast(__m512, values), _MM_FROUND_TO_NEAREST_INT));
#endif
#if defined(__F16C__)
    if constexpr (V == 8)
      return _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                              _mm256_cvtps_ph(__builtin_bit_cast(__m256, values), _MM_FROUND_TO_NEAREST_INT));
#endif
    for (int i = 0; i < V; ++i) to[i] = narrow<S>(values[i]);
  }
}

template <class S>
inline void narrow_row(const Computed<S>* from, i64 count, S* to) {
  constexpr int V = Lanes<Computed<S>>::kVector;
  i64 i = 0;
  for (; i + V <= count; i += V) write<V>(to + i, load<Computed<S>, V>(from + i));
  for (; i < count; ++i) to[i] = narrow<S>(from[i]);
}

template <class S>
inline void widen_row(const S* from, i64 count, Computed<S>* to) {
  constexpr int V = Lanes<Computed<S>>::kVector;
  i64 i = 0;
  for (; i + V <= count; i += V) store<Computed<S>, V>(to + i, read<V>(from + i));
  for (; i < count; ++i) to[i] = widen(from[i]);
}

}  // namespace cv::CV_ISA
