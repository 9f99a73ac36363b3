// A part of one sample as planes: its channels in their own layout, widened, with zeros around them, and taken apart where
// neighbours of one phase do not lie side by side. What neighbouring positions read is then one vector, whatever the stride, and
// where a window hangs over the edge it reads zeros.
#pragma once

#include <utility>

#include "folded.hpp"
#include "numbers.hpp"
#include "phases.hpp"
#include "threads.hpp"

namespace cv::CV_ISA {

// What positions of one direction read: position q of a phase reads elements of a plane from q + low to q + high, and each of
// these is `across` from the next in the tensor.
struct Reach {
  i64 across, low, high;
};

inline i64 floor_div(i64 a, i64 b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

inline Reach reach_of(const Direction& direction) {
  Reach reach{direction.phase(0).across, 0, 0};
  for (i64 k = 0, first = 1; k < direction.phases(); ++k) {
    const Phase& phase = direction.phase(k);
    for (i64 i = 0; i < phase.taps; ++i, first = 0) {
      const i64 at = floor_div(phase.from[i], reach.across);
      if (first || at < reach.low) reach.low = at;
      if (first || at > reach.high) reach.high = at;
    }
  }
  return reach;
}

// Memory that is read next, brought nearer a little at each step.
class Ahead {
 public:
  Ahead() = default;
  Ahead(const void* from, i64 bytes, i64 steps)
      : at_(static_cast<const char*>(from)), end_(at_ + bytes), step_(bytes / (steps > 0 ? steps : 1) + kLine) {}
  void step() {
    for (i64 i = 0; i < step_ && at_ < end_; i += kLine, at_ += kLine) __builtin_prefetch(at_, 0, 2);
  }

 private:
  static constexpr i64 kLine = 64;
  const char *at_ = nullptr, *end_ = nullptr;
  i64 step_ = 0;
};

class Planes {
 public:
  // A part has so many positions in each direction, and room for more, which read zeros. `sizes` and `strides` (the batch's and
  // the channels' first) are the tensor's. Lines are folded where there is a segment: they are the second direction then, which
  // has room for rows, and the third for a vector.
  Planes(i64 channels, const i64 (&sizes)[3], const i64 (&strides)[5], const Reach (&reach)[3], const i64 (&positions)[3],
         const i64 (&room)[3], i64 vector, i64 segment = 0)
      : channels_(channels), segment_(segment) {
    for (int d = 0; d < 3; ++d) {
      size_[d] = sizes[d];
      stride_[d] = strides[2 + d];
      reach_[d] = reach[d];
      filled_[d] = positions[d] + reach[d].high - reach[d].low;
      length_[d] = room[d] + reach[d].high - reach[d].low;
    }
    channel_stride_ = strides[1];
    pitch_ = (length_[2] + vector - 1) / vector * vector;
    line_ = segment ? (vector * segment + length_[1] - room[1]) / vector * vector + 2 * vector : pitch_;
    sheet_ = length_[1] * pitch_;
    body_ = length_[0] * sheet_;
    channel_ = reach[0].across * reach[1].across * reach[2].across * body_;
    if (channel_ % 1024 == 0) channel_ += vector;  // channels are not to fall on the same lines of a cache
  }

  i64 values() const { return channels_ * channel_ + (segment_ ? line_ : 0); }
  i64 channel() const { return channel_; }
  i64 sheet() const { return sheet_; }
  i64 pitch() const { return pitch_; }

  // Where the first position of a part reads what is `from` the first of all, in a channel's planes.
  i64 at(i64 from0, i64 from1, i64 from2) const {
    const i64 from[3] = {from0, from1, from2}, step[3] = {sheet_, pitch_, 1};
    i64 plane = 0, place = 0;
    for (int d = 0; d < 3; ++d) {
      const i64 shift = floor_div(from[d], reach_[d].across);
      plane = plane * reach_[d].across + from[d] - shift * reach_[d].across;
      place += (shift - reach_[d].low) * step[d];
    }
    return plane * body_ + place;
  }

  // A whole sample that is to fill planes in so many steps, if it lies in one piece.
  template <class S>
  Ahead ahead(const S* sample, i64 steps) const {
    i64 span = (channels_ - 1) * channel_stride_ + 1, count = channels_;
    for (int d = 0; d < 3; ++d) {
      span += (size_[d] - 1) * stride_[d];
      count *= size_[d];
    }
    return span == count ? Ahead(sample, span * static_cast<i64>(sizeof(S)), steps) : Ahead();
  }

  // Of some channels, the part whose first position is `begin`, in each direction.
  template <class S>
  void fill(const S* sample, Range channels, const i64 (&begin)[3], Computed<S>* to) const {
    for (i64 a = 0, plane = 0; a < reach_[0].across; ++a)
      for (i64 b = 0; b < reach_[1].across; ++b)
        for (i64 c = 0; c < reach_[2].across; ++c, ++plane) {
          const Met met[3] = {meet(0, begin[0], a), meet(1, begin[1], b), meet(2, begin[2], c)};
          const S* from = sample + channels.begin * channel_stride_;
          Computed<S>* near = to + channels.begin * channel_ + plane * body_;
          for (i64 channel = channels.begin; channel < channels.end; ++channel, from += channel_stride_, near += channel_)
            if (segment_) fill_folded(from, met, near, to + channels_ * channel_);
            else fill_plane(from, met, near);
        }
  }

 private:
  // Places low to high of a plane's direction lie in the tensor, the first of them at `first`.
  struct Met {
    i64 low, high, first;
  };
  Met meet(int d, i64 begin, i64 plane) const {
    const i64 across = reach_[d].across, at = (begin + reach_[d].low) * across + plane;
    const auto within = [&](i64 place) { return place < 0 ? 0 : place > filled_[d] ? filled_[d] : place; };
    const i64 low = within(-floor_div(at, across)), high = within(-floor_div(at - size_[d], across));
    return {low, high, at + low * across};
  }

  template <class S>
  void fill_plane(const S* channel, const Met (&met)[3], Computed<S>* to) const {
    const auto zero_lines = [&](i64 lines) {
      __builtin_memset(to, 0, lines * pitch_ * sizeof *to);
      to += lines * pitch_;
    };
    const i64 steps[2] = {reach_[0].across * stride_[0], reach_[1].across * stride_[1]};
    const S* sheet = channel + met[0].first * stride_[0] + met[1].first * stride_[1] + met[2].first * stride_[2];
    const i64 left = size_[2] - met[2].first;
    zero_lines(met[0].low * length_[1]);
    for (i64 s = met[0].low; s < met[0].high; ++s, sheet += steps[0]) {
      const S* line = sheet;
      zero_lines(met[1].low);
      for (i64 t = met[1].low; t < met[1].high; ++t, line += steps[1], to += pitch_)
        fill_line(line, 2, left, met[2].low, met[2].high, to);
      zero_lines(length_[1] - met[1].high);
    }
    zero_lines((length_[0] - met[0].high) * length_[1]);
  }

  template <class S>
  void fill_folded(const S* channel, const Met (&met)[3], Computed<S>* to, Computed<S>* line) const {
    const i64 rows = segment_ + reach_[1].high - reach_[1].low, step = reach_[0].across * stride_[0];
    const S* from = channel + met[0].first * stride_[0] + met[1].first * stride_[1];
    for (i64 s = 0; s < length_[0]; ++s, to += sheet_) {
      const bool there = s >= met[0].low && s < met[0].high;
      if (there) {
        fill_line(from, 1, size_[1] - met[1].first, met[1].low, met[1].high, line);
        fold(line, segment_, rows, to);
        from += step;
      }
      const i64 filled = there ? rows : 0;
      __builtin_memset(to + filled * pitch_, 0, (length_[1] - filled) * pitch_ * sizeof *to);
    }
  }

  // Of direction d, `left` elements of which may be read.
  template <class S>
  void fill_line(const S* from, int d, i64 left, i64 low, i64 high, Computed<S>* to) const {
    using T = Computed<S>;
    constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
    constexpr typename Vector<T, V>::type kZeros{};
    for (i64 i = 0; i < low; i += V) store<T, V>(to + i, kZeros);
    for (i64 i = high / V * V; i < line_; i += V) store<T, V>(to + i, kZeros);
    const i64 count = high - low, step = reach_[d].across * stride_[d];
    const bool pairs = step == 2 && stride_[d] == 1 && 2 * count <= left;  // whole ones, to take every other of
    if (count >= V && step == 1) copy_line<V>(count, to + low, [&](i64 i) { return read<V>(from + i); });
    else if (count >= V && pairs) copy_line<V>(count, to + low, [&](i64 i) { return every_other<V>(from + 2 * i); });
    else if (count >= H && step == 1) copy_line<H>(count, to + low, [&](i64 i) { return read<H>(from + i); });
    else if (count >= H && pairs) copy_line<H>(count, to + low, [&](i64 i) { return every_other<H>(from + 2 * i); });
    else
      for (i64 i = 0; i < count; ++i) to[low + i] = widen(from[i * step]);
  }

  // A vector at least: the last of them goes back over its neighbour.
  template <int V, class T, class F>
  static void copy_line(i64 count, T* to, F from) {
    for (i64 i = 0; i + V < count; i += V) store<T, V>(to + i, from(i));
    store<T, V>(to + count - V, from(count - V));
  }

  // V of 2 * V numbers, the first of them included.
  template <int V, class S>
  static typename Vector<Computed<S>, V>::type every_other(const S* from) {
    typename Vector<Computed<S>, V>::type even = read<V>(from), odd = read<V>(from + V);
    return even_lanes<V>(even, odd, std::make_index_sequence<V>{});
  }
  template <int V, class Vec, std::size_t... L>
  static Vec even_lanes(const Vec& first, const Vec& second, std::index_sequence<L...>) {
    return __builtin_shufflevector(first, second, (2 * static_cast<int>(L))...);
  }

  i64 channels_, segment_, channel_stride_, channel_, body_, sheet_, pitch_, line_;
  i64 size_[3], stride_[3], filled_[3], length_[3];
  Reach reach_[3];
};

}  // namespace cv::CV_ISA
