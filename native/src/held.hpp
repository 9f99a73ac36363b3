// The weights of a block at a position, as they are computed with: where they lie, or widened into a copy that is held until
// the next kernel.
#pragma once

#include "numbers.hpp"
#include "units.hpp"

namespace cv::CV_ISA {

template <class S>
class Held {
  using T = Computed<S>;

 public:
  // Elements of `values` and of `places` that it needs.
  static i64 values(i64 window, i64 outputs) { return kIsHalf<S> ? window * outputs : 0; }
  static i64 places(i64 window, i64 outputs) { return outputs + (kIsHalf<S> ? window : 0); }

  Held(T* values, i64* places) : values_(values), base_(values), rows_(places) {}

  // Whenever the block or its window has changed.
  void begin(const cv_problem& p, const Block& block, const Window& window) {
    last_ = nullptr;
    side_by_side_ = window.side_by_side();
    outputs_ = block.n_outputs;
    n_ = window.n;
    for (i64 o = 0; o < outputs_; ++o) rows_[o] = kIsHalf<S> ? o * n_ : p.rows[block.outputs[o]];
    taps_ = window.weight;
    if constexpr (kIsHalf<S>) {
      i64* const count_up = rows_ + outputs_;
      for (i64 j = 0; j < n_; ++j) count_up[j] = j;
      taps_ = count_up;
    }
  }

  void at(const cv_problem& p, const Block& block, const Window& window, const S* kernel, i64 ahead) {
    if constexpr (kIsHalf<S>) {
      if (kernel == last_) return;
      last_ = kernel;
      for (i64 o = 0; o < outputs_; ++o) {
        const S* const row = kernel + p.rows[block.outputs[o]];
        if (side_by_side_ && n_) {
          if (ahead)
            for (i64 j = 0; j < n_; j += 32) __builtin_prefetch(row + window.weight[0] + j + ahead, 0, 2);
          widen_row(row + window.weight[0], n_, values_ + o * n_);
        } else {
          for (i64 j = 0; j < n_; ++j) values_[o * n_ + j] = widen(row[window.weight[j]]);
        }
      }
    } else {
      base_ = kernel;
    }
  }

  // The weight of output o at element k of the window is base()[rows()[o] + taps()[k]].
  const T* base() const { return base_; }
  const i64* rows() const { return rows_; }
  const i64* taps() const { return taps_; }

 private:
  T* values_;
  const T* base_;
  i64* rows_;
  const i64* taps_ = nullptr;
  const S* last_ = nullptr;
  i64 outputs_ = 0, n_ = 0;
  bool side_by_side_ = false;
};

}  // namespace cv::CV_ISA
