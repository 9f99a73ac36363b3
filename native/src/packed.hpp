// All weights, as they are computed with: where they lie, or widened into a copy, and the problem whose steps lead through it.
#pragma once

#include "memory.hpp"
#include "numbers.hpp"
#include "threads.hpp"
#include "window.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

// A wire's kernels, each with its taps side by side and `next` elements from the one before it.
template <class S>
void copy_kernels(const cv_problem& p, const S* from, Computed<S>* to, i64 next) {
  const auto& [x, y, z] = p.axes;
  for (i64 a = 0; a < x.tile; ++a)
    for (i64 b = 0; b < y.tile; ++b)
      for (i64 c = 0; c < z.tile; ++c, to += next) {
        const S* const kernel = from + a * x.tile_step + b * y.tile_step + c * z.tile_step;
        Computed<S>* tap = to;
        for (i64 i = 0; i < x.kernel; ++i)
          for (i64 j = 0; j < y.kernel; ++j)
            for (i64 k = 0; k < z.kernel; ++k) *tap++ = widen(kernel[i * x.tap_step + j * y.tap_step + k * z.tap_step]);
      }
}

template <class S>
class Packed {
  using T = Computed<S>;

 public:
  Packed(const cv_problem& p, const void* weight, int threads)
      : problem_(p),
        rows_(kIsHalf<S> ? p.out_channels : 0),
        copy_(kIsHalf<S> ? count_of_edges(p) * kernels_of(p) * taps_of(p) : 0) {
    if (!rows_ || !copy_) return;
    if constexpr (kIsHalf<S>) {
      const Wires wires(p, false);
      if (!wires) return;
      problem_.rows = rows_.get();
      problem_.input_step = kernels_of(p) * taps_of(p);
      i64 step = 1;
      for (int d = 2; d >= 0; step *= p.axes[d--].kernel) problem_.axes[d].tap_step = step;
      for (int d = 2; d >= 0; step *= p.axes[d--].tile) problem_.axes[d].tile_step = step;
      for (i64 o = 0; o < p.out_channels; ++o) rows_.get()[o] = wires.begin(o) * problem_.input_step;
      parallel(threads, [&](int worker, int workers) {
        const Range mine = share(wires.count(), worker, workers);
        for (i64 wire = mine.begin; wire < mine.end; ++wire)
          copy_kernels(p, static_cast<const S*>(weight) + wires.weight(wire), copy_.get() + wire * problem_.input_step,
                       taps_of(p));
      });
      weight_ = copy_.get();
    } else {
      weight_ = static_cast<const T*>(weight);
    }
    ready_ = true;
  }
  explicit operator bool() const { return ready_; }
  const cv_problem& problem() const { return problem_; }
  const T* weight() const { return weight_; }

 private:
  cv_problem problem_;
  Buffer<i64> rows_;
  Buffer<T> copy_;
  const T* weight_ = nullptr;
  bool ready_ = false;
};

}  // namespace cv::CV_ISA
