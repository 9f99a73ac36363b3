// The weights of fans, where they lie; or, where positions share kernels or weights have to be widened anyway, in the order in
// which fans read them: kernel by kernel, and each kernel's wires by the channel that they come from.
#pragma once

#include "packed.hpp"

namespace cv::CV_ISA {

template <class S>
class FanWeights {
  using T = Computed<S>;

 public:
  FanWeights(const cv_problem& p, const void* weight, const Wires& wires, int threads)
      : problem_(p),
        wires_(wires),
        copies_(kIsHalf<S> || outputs_of(p) >= kShared * kernels_of(p)),
        places_(copies_ ? wires.count() : 0),
        copy_(copies_ ? wires.count() * kernels_of(p) * taps_of(p) : 0) {
    if (!*this) return;
    if (copies_) {
      copy(p, static_cast<const S*>(weight), threads);
      weight_ = copy_.get();
    } else if constexpr (!kIsHalf<S>) {
      weight_ = static_cast<const T*>(weight);
    }
  }
  explicit operator bool() const { return places_ && copy_; }
  const cv_problem& problem() const { return problem_; }  // whose steps lead from a kernel and from a tap to the next
  const T* get() const { return weight_; }
  const i64* places() const { return copies_ ? places_.get() : wires_.weights(); }  // of each wire

 private:
  static constexpr i64 kShared = 16;  // positions of a kernel that are worth a copy

  void copy(const cv_problem& p, const S* weight, int threads) {
    const i64 taps = taps_of(p), all = wires_.count() * taps;
    for (i64 wire = 0; wire < wires_.count(); ++wire) places_.get()[wire] = wire * taps;
    i64 tap_step = 1, tile_step = all;
    for (int d = 2; d >= 0; --d) {
      problem_.axes[d].tap_step = tap_step;
      problem_.axes[d].tile_step = tile_step;
      tap_step *= p.axes[d].kernel;
      tile_step *= p.axes[d].tile;
    }
    parallel(threads, [&](int worker, int workers) {
      const Range mine = share(wires_.count(), worker, workers);
      for (i64 wire = mine.begin; wire < mine.end; ++wire)
        copy_kernels(p, weight + wires_.weight(wire), copy_.get() + places_.get()[wire], all);
    });
  }

  cv_problem problem_;
  const Wires& wires_;
  bool copies_;
  Buffer<i64> places_;
  Buffer<T> copy_;
  const T* weight_ = nullptr;
};

}  // namespace cv::CV_ISA
