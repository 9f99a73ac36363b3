// Some inputs of a window, as the gradients of their weights need them: all taps, and which of them meet the input.
#pragma once

#include "threads.hpp"
#include "window.hpp"

namespace cv::CV_ISA {

// Of one block, in tables that it is handed.
class WindowPart {
 public:
  static i64 places(i64 window) { return 4 * window + 2 * kMostRows; }

  WindowPart(i64* places, i64 window)
      : full{0, places, places + window}, met(places + 2 * window), input(met + window + kMostRows) {}

  // Each does nothing where it is what it was.
  void read(const cv_problem& p, const i64* channels, Range inputs, i64 plane, i64 lanes) {
    if (inputs.begin == read_.begin && inputs.end == read_.end) return;
    read_ = inputs;
    full.build(p, {{0, 0, 0}, {p.axes[0].kernel, p.axes[1].kernel, p.axes[2].kernel}}, channels, inputs, plane, lanes);
    side_by_side = full.side_by_side();
    known_ = {{-1, -1, -1}, {}};
  }
  void meet(const cv_problem& p, const Box& box) {
    if (box == known_) return;
    known_ = box;
    n_met = 0;
    for (i64 i = 0, k = 0; i < read_.end - read_.begin; ++i)
      for (i64 a = 0; a < p.axes[0].kernel; ++a)
        for (i64 b = 0; b < p.axes[1].kernel; ++b)
          for (i64 c = 0; c < p.axes[2].kernel; ++c, ++k) {
            if (a < box.low[0] || a >= box.high[0] || b < box.low[1] || b >= box.high[1] || c < box.low[2] || c >= box.high[2])
              continue;
            met[n_met] = k;
            input[n_met++] = full.input[k];
          }
    for (int m = 0; m < kMostRows; ++m) met[n_met + m] = input[n_met + m] = 0;
  }

  Window full;
  bool side_by_side = false;
  i64 n_met = 0;     // of the elements of full
  i64 *met, *input;  // which they are, and where they lie; zeros for as many rows after the last as are worked on at once

 private:
  Range read_{0, 0};
  Box known_{};
};

}  // namespace cv::CV_ISA
