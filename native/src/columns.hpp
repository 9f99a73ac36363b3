// What positions of one line, each with a kernel of its own, give to a column of what they read: where their windows overlap, the
// products of all of them are summed up at once, and added to what is there once and not for each. Where rows that lie side by
// side are taken at once, that is worth more.
#pragma once

#include "beside.hpp"
#include "units.hpp"

namespace cv::CV_ISA {

constexpr i64 kMostJoined = 4;            // positions
constexpr i64 kJoinedBytes = 512 * 1024;  // of their kernels, which stay in a core's second cache

// How many positions of a line are joined; one: none are.
template <class S>
i64 joined(const cv_problem& p) {
  const cv_axis& axis = p.axes[2];
  const bool overlap = axis.kernel > 1 && axis.stride == 1 && axis.dilation * axis.dilation == 1;
  if (kAreBeside || kIsHalf<S> || !is_local(axis) || !overlap) return 1;  // halves are widened a kernel at a time
  const i64 fit = kJoinedBytes / (largest_window(p) * most_outputs(p) * static_cast<i64>(sizeof(S)) + 1);
  return fit < 1 ? 1 : fit < kMostJoined ? fit : kMostJoined;
}

// A column lies `input` positions after the first tap of the first position; `count` positions give to it, from the `first` on,
// with the weights of each output at `at`.
struct Column {
  i64 input, first, count;
  const i64* at;
};

class Columns {
 public:
  // Of so many positions at most; places() are for their tables.
  static i64 most(const cv_axis& axis, i64 positions) { return positions > 1 ? positions + axis.kernel - 1 : 1; }
  static i64 places(const cv_axis& axis, i64 positions, i64 outputs) {
    return positions > 1 ? positions * axis.kernel * outputs : 0;
  }

  Columns(Column* columns, i64* places) : columns_(columns), places_(places), end_(columns) {}

  // For positions that are not joined: one column, and nothing moves.
  void set_one(const i64* rows) {
    columns_[0] = {0, 0, 1, rows};
    end_ = columns_ + 1;
  }

  // For neighbours whose taps low to high meet the input.
  void set(const cv_axis& axis, i64 low, i64 high, i64 positions, const i64* rows, i64 outputs) {
    i64* at = places_;
    end_ = columns_;
    const i64 taps = high - low, last = positions + taps - 1;
    for (i64 column = 0; column < (taps > 0 ? last : 0); ++column) {
      const i64 first = column < taps ? 0 : column - taps + 1, end = column < positions ? column + 1 : positions;
      *end_++ = {axis.dilation > 0 ? column : column - taps + 1, first, end - first, at};
      for (i64 q = first; q < end; ++q) {
        const i64 tap = axis.dilation > 0 ? column - q : taps - 1 - (column - q);  // after the lowest
        for (i64 o = 0; o < outputs; ++o) *at++ = rows[o] + tap * axis.tap_step + q * axis.tile_step;
      }
    }
  }
  const Column* begin() const { return columns_; }
  const Column* end() const { return end_; }
  i64 count() const { return end_ - columns_; }

 private:
  Column* columns_;
  i64* places_;
  Column* end_;
};

}  // namespace cv::CV_ISA
