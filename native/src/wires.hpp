// A channel graph as rows of wires: for each channel that is written, the channels that it reads and where their weights begin.
#pragma once

#include "convarium.h"
#include "kernel.hpp"
#include "memory.hpp"

namespace cv::CV_ISA {

inline i64 count_of_edges(const cv_problem& p) {
  i64 count = 0;
  for (i64 k = 0; k < p.n_classes; ++k) count += p.classes[k].count * p.classes[k].outputs * p.classes[k].inputs;
  return count;
}

class Wires {
 public:
  // Row r has wires begin(r) to end(r), in the order of the channels that they come from.
  Wires(const cv_problem& p, bool back)
      : rows_(back ? p.in_channels : p.out_channels),
        reads_(p.out_channels),
        begin_(rows_ + 2),
        channel_(count_of_edges(p)),
        weight_(count_of_edges(p)) {
    if (!*this) return;
    for (i64 o = 0; o < p.out_channels; ++o) reads_.get()[o] = {nullptr, 0};
    for (i64 k = 0; k < p.n_classes; ++k) {
      const cv_blocks& alike = p.classes[k];
      for (i64 o = 0; o < alike.count * alike.outputs; ++o)
        reads_.get()[alike.output_channels[o]] = {alike.input_channels + o / alike.outputs * alike.inputs, alike.inputs};
    }
    i64* const begin = begin_.get();
    for (i64 r = 0; r < rows_ + 2; ++r) begin[r] = 0;
    each_edge(p, [&](i64 output, i64 input, i64) { ++begin[(back ? input : output) + 2]; });
    for (i64 r = 0; r < rows_; ++r) begin[r + 2] += begin[r + 1];
    each_edge(p, [&](i64 output, i64 input, i64 weight) {
      const i64 at = begin[(back ? input : output) + 1]++;
      channel_.get()[at] = back ? output : input;
      weight_.get()[at] = weight;
    });
  }
  explicit operator bool() const { return reads_ && begin_ && channel_ && weight_; }
  i64 rows() const { return rows_; }
  i64 count() const { return end(rows_ - 1); }
  i64 begin(i64 row) const { return begin_.get()[row]; }
  i64 end(i64 row) const { return begin_.get()[row + 1]; }
  i64 channel(i64 wire) const { return channel_.get()[wire]; }
  i64 weight(i64 wire) const { return weight_.get()[wire]; }
  const i64* channels() const { return channel_.get(); }
  const i64* weights() const { return weight_.get(); }

 private:
  struct Inputs {
    const i64* channel;
    i64 count;
  };

  template <class F>
  void each_edge(const cv_problem& p, F body) const {
    for (i64 o = 0; o < p.out_channels; ++o)
      for (i64 i = 0; i < reads_.get()[o].count; ++i) body(o, reads_.get()[o].channel[i], p.rows[o] + i * p.input_step);
  }

  i64 rows_;
  Buffer<Inputs> reads_;
  Buffer<i64> begin_, channel_, weight_;
};

// Where the channel of each wire begins, where channels lie `step` elements from each other.
class WirePlaces {
 public:
  WirePlaces(const Wires& wires, i64 step) : places_(wires.count()) {
    for (i64 wire = 0; places_ && wire < wires.count(); ++wire) places_.get()[wire] = wires.channel(wire) * step;
  }
  explicit operator bool() const { return static_cast<bool>(places_); }
  const i64* get() const { return places_.get(); }

 private:
  Buffer<i64> places_;
};

}  // namespace cv::CV_ISA
