// A problem in parts, so that what is held besides operands and results stays small: slabs of positions, and where these do not
// suffice, of samples. A slab is a problem like any other; only its sizes and where its tensors begin are its own.
#pragma once

#include <cstdint>

#include "convarium.h"

namespace cv {

using i64 = std::int64_t;

struct Slab {
  cv_problem problem;
  i64 input, output, weight;  // elements from the whole's beginning to the slab's
};

class Slabs {
 public:
  // `input` and `output` are the tensors or their gradients.
  Slabs(const cv_problem& p, cv_map map, const cv_tensor& input, const cv_tensor& output)
      : p_(p), map_(map), input_(input), output_(output) {
    const bool small = p.way & CV_IN_SLABS, half = p.dtype == CV_BFLOAT16 || p.dtype == CV_FLOAT16;
    const i64 bytes = p.dtype == CV_FLOAT64 ? 8 : 4, lanes = (p.batch + kLanes - 1) / kLanes * kLanes;
    i64 inputs = p.in_channels * lanes * bytes, outputs = p.out_channels * lanes * bytes, windows = p.in_channels;
    i64 uses = lanes / kLanes;  // of a weight, by so many samples at once
    for (int d = 0; d < 3; ++d) {
      inputs *= p.axes[d].size;
      outputs *= p.axes[d].output;
      windows *= p.axes[d].kernel * p.axes[d].output;
      uses *= p.axes[d].output / p.axes[d].tile;
      if (written(d) > written(axis_)) axis_ = d;
    }
    const i64 share =
        windows * p.batch * bytes / (half ? 24 : 12);  // of all windows: a tenth, what threads hold for themselves included
    const i64 most = small ? 1 : share > kMost ? share : kMost, near = small ? 1 : kNear;
    i64 held = inputs + outputs;  // by one slab
    if (held <= near || p.batch == 0) return;
    // The outermost direction of which a few positions fit, for what lies side by side to stay so; else the longest.
    for (int d = 0; d < 3; ++d)
      if (const Cost cost = cost_of(d, inputs, outputs); written(d) > cost.least && cost.of(cost.least) <= most) {
        axis_ = d;
        break;
      }
    const cv_axis& axis = p.axes[axis_];
    const bool apart = axis.tile == axis.output;
    const bool rounds_twice = map == CV_GRAD_WEIGHT && half;  // where slabs add to the same weights, which halves must not
    if (!(rounds_twice && !apart)) {
      const Cost cost = cost_of(axis_, inputs, outputs);
      const auto fitting = [&](i64 bytes) { return (bytes - cost.overlap) / (cost.each ? cost.each : 1); };
      const bool sums_up = map == CV_GRAD_WEIGHT && (p.way & CV_NEIGHBOURS);  // vectors of samples, once for each slab
      const i64 worth = sums_up ? kUses * axis.output / uses : kTimes * cost.twice;
      const i64 fit = fitting(small ? 1 : kMost), wanted = worth < fit ? worth : fit;
      step_ = fitting(near) > wanted ? fitting(near) : wanted;
      step_ = step_ / cost.turns * cost.turns;
      if (step_ < cost.least) step_ = cost.least;
      if (step_ > written(axis_)) step_ = written(axis_);
      const i64 slabs = (written(axis_) + step_ - 1) / step_;
      step_ = ((written(axis_) + slabs - 1) / slabs + cost.turns - 1) / cost.turns * cost.turns;  // none much smaller than others
      held = cost.of(step_);
    }
    if (held > most && !rounds_twice) {
      samples_ = p.batch * most / held / kLanes * kLanes;
      const i64 least = small ? kLanes : kSamples;
      if (samples_ < least) samples_ = least;
    }
  }

  // Calls body(slab) for each until one does not return CV_OK, and returns what the last has returned.
  template <class F>
  int each(F body) const {
    const i64 samples = samples_ && samples_ < p_.batch ? samples_ : p_.batch, step = step_ ? step_ : written(axis_);
    bool first = true;
    for (i64 b = 0; b < p_.batch; b += samples)
      for (i64 at = 0; at < written(axis_); at += step) {
        Slab slab = cut(at, at + step < written(axis_) ? at + step : written(axis_));
        slab.problem.batch = b + samples < p_.batch ? samples : p_.batch - b;
        slab.input += b * input_.strides[0];
        slab.output += b * output_.strides[0];
        const bool apart = p_.axes[axis_].tile == p_.axes[axis_].output;
        slab.problem.add = apart ? b > 0 : !first;
        first = false;
        if (const int status = body(slab)) return status;
      }
    return CV_OK;
  }

 private:
  static constexpr i64 kMost = 24 << 20;  // bytes that are always allowed: of 32 MiB, what threads and whole pages take is left
  static constexpr i64 kNear = 6 << 20;   // and that stay in the last cache from one slab to the next
  static constexpr i64 kTimes = 16;       // as many positions, at least, as there are whose kernels are read for two slabs
  static constexpr i64 kUses = 768;       // and of a weight, before what they give is summed up
  static constexpr i64 kLanes = 8, kSamples = 32;

  // Of a slab of n positions: the bytes it holds, how many at least and in which steps; and how many read their kernels again.
  struct Cost {
    i64 each, overlap, least, turns, twice;
    i64 of(i64 n) const { return n * each + overlap; }
  };
  Cost cost_of(int d, i64 inputs, i64 outputs) const {
    const cv_axis& axis = p_.axes[d];
    const bool back = map_ == CV_GRAD_INPUT, apart = axis.tile == axis.output;
    const i64 reach = (axis.kernel - 1) * (axis.dilation < 0 ? -axis.dilation : axis.dilation) + 1;
    const i64 input = inputs / axis.size, output = outputs / axis.output, turns = apart || back ? 1 : axis.tile;
    const i64 least = p_.way & CV_IN_SLABS ? 1 : back ? reach : (reach + axis.stride - 1) / axis.stride;
    if (back)
      return {input + output / axis.stride, (reach / axis.stride + 1 + (apart ? 0 : axis.tile)) * output, least, turns,
              apart ? reach / axis.stride : 0};
    return {axis.stride * input + output, (reach - axis.stride) * input, (least + turns - 1) / turns * turns, turns, 0};
  }

  i64 written(int d) const { return map_ == CV_GRAD_INPUT ? p_.axes[d].size : p_.axes[d].output; }

  Slab cut(i64 begin, i64 end) const {
    Slab slab{p_, 0, 0, 0};
    if (begin == 0 && end == written(axis_)) return slab;
    const cv_axis& whole = p_.axes[axis_];
    cv_axis& axis = slab.problem.axes[axis_];
    const i64 last = (whole.kernel - 1) * whole.dilation, low = last < 0 ? last : 0, high = last < 0 ? 0 : last;
    i64 out = begin, out_end = end, in = begin, in_end = end;
    if (map_ == CV_GRAD_INPUT) {  // the outputs that have read these inputs
      out = clamp(ceil(begin - whole.begin - high, whole.stride), whole.output - 1);
      out_end = clamp(ceil(end - whole.begin - low, whole.stride), whole.output);
      if (whole.tile != whole.output) out = out / whole.tile * whole.tile;
      if (out_end <= out) out_end = out + 1;
    } else {  // the inputs that these outputs read
      in = clamp(begin * whole.stride + whole.begin + low, whole.size - 1);
      in_end = clamp((end - 1) * whole.stride + whole.begin + high + 1, whole.size);
      if (in_end <= in) in_end = in + 1;
    }
    axis.size = in_end - in;
    axis.output = out_end - out;
    axis.begin = whole.begin + out * whole.stride - in;
    if (whole.tile == whole.output) {
      axis.tile = axis.output;
      slab.weight = out * whole.tile_step;
    }
    slab.input = in * input_.strides[2 + axis_];
    slab.output = out * output_.strides[2 + axis_];
    return slab;
  }

  static i64 ceil(i64 a, i64 b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
  static i64 clamp(i64 value, i64 high) { return value < 0 ? 0 : value > high ? high : value; }

  const cv_problem& p_;
  cv_map map_;
  const cv_tensor &input_, &output_;
  int axis_ = 0;
  i64 step_ = 0, samples_ = 0;
};

}  // namespace cv
