// Where windows lie: the part of a kernel that meets the input at a position, as tables of offsets.
#pragma once

#include "convarium.h"
#include "kernel.hpp"

namespace cv::CV_ISA {

struct Place {
  i64 at[3];
};

inline i64 outputs_of(const cv_problem& p) { return p.axes[0].output * p.axes[1].output * p.axes[2].output; }
inline i64 inputs_of(const cv_problem& p) { return p.axes[0].size * p.axes[1].size * p.axes[2].size; }
inline i64 taps_of(const cv_problem& p) { return p.axes[0].kernel * p.axes[1].kernel * p.axes[2].kernel; }
inline i64 kernels_of(const cv_problem& p) { return p.axes[0].tile * p.axes[1].tile * p.axes[2].tile; }

inline i64 position_of(const cv_problem& p, const Place& s) {
  return (s.at[0] * p.axes[1].output + s.at[1]) * p.axes[2].output + s.at[2];
}

inline Place place_of(const cv_problem& p, i64 position) {
  const i64 line = position / p.axes[2].output;
  return {{line / p.axes[1].output, line % p.axes[1].output, position % p.axes[2].output}};
}

// Weight elements from the first kernel to that of a position.
inline i64 kernel_of(const cv_problem& p, const Place& s) {
  i64 offset = 0;
  for (int d = 0; d < 3; ++d) offset += s.at[d] % p.axes[d].tile * p.axes[d].tile_step;
  return offset;
}

// The taps that meet the input, a range in each direction.
struct Box {
  i64 low[3], high[3];
  bool operator==(const Box& other) const {
    for (int d = 0; d < 3; ++d)
      if (low[d] != other.low[d] || high[d] != other.high[d]) return false;
    return true;
  }
};

inline Box box_of(const cv_problem& p, const Place& s) {
  Box box;
  for (int d = 0; d < 3; ++d) {
    const cv_axis& axis = p.axes[d];
    const i64 first = s.at[d] * axis.stride + axis.begin;
    const auto inside = [&](i64 m) { return first + m * axis.dilation >= 0 && first + m * axis.dilation < axis.size; };
    box.low[d] = 0;
    box.high[d] = axis.kernel;
    while (box.low[d] < box.high[d] && !inside(box.low[d])) ++box.low[d];
    while (box.high[d] > box.low[d] && !inside(box.high[d] - 1)) --box.high[d];
  }
  return box;
}

// Elements of a tensor with lanes from its first position to where tap 0 of a position lies, which may be outside.
inline i64 origin_of(const cv_problem& p, const Place& s, i64 lanes) {
  i64 at = 0;
  for (int d = 0; d < 3; ++d) at = at * p.axes[d].size + s.at[d] * p.axes[d].stride + p.axes[d].begin;
  return at * lanes;
}

// The elements of a window inside a box: their weights, from the kernel's beginning, and their inputs, from the origin.
struct Window {
  i64 n = 0;
  i64* weight = nullptr;
  i64* input = nullptr;

  // Whether the weights lie one after the other.
  bool side_by_side() const {
    for (i64 j = 1; j < n; ++j)
      if (weight[j] != weight[j - 1] + 1) return false;
    return true;
  }

  // Channels lie `plane` positions from each other.
  void build(const cv_problem& p, const Box& box, const i64* channels, Range inputs, i64 plane, i64 lanes) {
    const i64 row = p.axes[1].size * p.axes[2].size * p.axes[0].dilation, line = p.axes[2].size * p.axes[1].dilation;
    n = 0;
    for (i64 i = inputs.begin; i < inputs.end; ++i)
      for (i64 a = box.low[0]; a < box.high[0]; ++a)
        for (i64 b = box.low[1]; b < box.high[1]; ++b)
          for (i64 c = box.low[2]; c < box.high[2]; ++c, ++n) {
            weight[n] = i * p.input_step + a * p.axes[0].tap_step + b * p.axes[1].tap_step + c * p.axes[2].tap_step;
            input[n] = (channels[i] * plane + a * row + b * line + c * p.axes[2].dilation) * lanes;
          }
  }
};

}  // namespace cv::CV_ISA
