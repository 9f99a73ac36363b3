// A part of one sample as planes: its channels in their own layout, widened, with zeros around them, and taken apart where neighbours
// of one phase do not lie side by side. What neighbouring positions read is then one vector, whatever the stride, and where a window
// hangs over the edge it reads zeros.
#pragma once

#include <utility>

#include "numbers.hpp"
#include "phases.hpp"
#include "threads.hpp"

namespace cv::CV_ISA {

// What positions of one direction read: position q of a phase reads elements of a plane from q + low to q + high, and each of these
// is `across` from the next in the tensor.
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

class Planes {
 public:
  // A part has so many positions in each direction, and room for more, which read zeros. `sizes` and `strides` (the batch's and the
  // channels' first) are the tensor's.
  Planes(i64 channels, const i64 (&sizes)[3], const i64 (&strides)[5], const Reach (&reach)[3], const i64 (&positions)[3],
         const i64 (&room)[3], i64 vector)
      : channels_(channels) {
    for (int d = 0; d < 3; ++d) {
      size_[d] = sizes[d];
      stride_[d] = strides[2 + d];
      reach_[d] = reach[d];
      filled_[d] = positions[d] + reach[d].high - reach[d].low;
      length_[d] = room[d] + reach[d].high - reach[d].low;
    }
    channel_stride_ = strides[1];
    pitch_ = (length_[2] + vector - 1) / vector * vector;
    sheet_ = length_[1] * pitch_;
    body_ = length_[0] * sheet_;
    channel_ = reach[0].across * reach[1].across * reach[2].across * body_;
    if (channel_ % 1024 == 0) channel_ += vector;  // channels are not to fall on the same lines of a cache
  }

  i64 values() const { return channels_ * channel_; }
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

  // Of some channels, the part whose first position is `begin`, in each direction.
  template <class S>
  void fill(const S* sample, Range channels, const i64 (&begin)[3], Computed<S>* to) const {
    const i64 line = line_of(begin[2]);
    for (i64 c = channels.begin; c < channels.end; ++c) {
      const S* const channel = sample + c * channel_stride_;
      Computed<S>* row = to + c * channel_;
      for (i64 a = 0; a < reach_[0].across; ++a)
        for (i64 b = 0; b < reach_[1].across; ++b)
          for (i64 k = 0; k < reach_[2].across; ++k)
            for (i64 s = 0; s < length_[0]; ++s)
              for (i64 t = 0; t < length_[1]; ++t, row += pitch_) {
                const i64 x = place(0, begin[0], s, a), y = place(1, begin[1], t, b);
                const bool inside = s < filled_[0] && t < filled_[1] && x >= 0 && x < size_[0] && y >= 0 && y < size_[1];
                if (!inside) __builtin_memset(row, 0, pitch_ * sizeof *row);
                else fill_line(channel + x * stride_[0] + y * stride_[1], line + k, row);
              }
    }
  }

 private:
  i64 line_of(i64 begin) const { return (begin + reach_[2].low) * reach_[2].across; }
  i64 place(int d, i64 begin, i64 at, i64 plane) const { return (begin + reach_[d].low + at) * reach_[d].across + plane; }

  template <class S>
  void fill_line(const S* line, i64 first, Computed<S>* to) const {
    const i64 across = reach_[2].across;
    const i64 low = within(-floor_div(first, across)), high = within(-floor_div(first - size_[2], across));
    using T = Computed<S>;
    constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
    constexpr typename Vector<T, V>::type kZeros{};
    if (low > 0)
      for (i64 i = 0; i < low; i += V) store<T, V>(to + i, kZeros);
    for (i64 i = high / V * V; i < pitch_; i += V) store<T, V>(to + i, kZeros);
    const S* const from = line + (first + low * across) * stride_[2];
    const i64 count = high - low, step = across * stride_[2];
    const bool pairs = step == 2 && stride_[2] == 1 && first + 2 * high <= size_[2];  // whole ones, to take every other of
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
  i64 within(i64 at) const { return at < 0 ? 0 : at > filled_[2] ? filled_[2] : at; }

  i64 channels_, channel_stride_, channel_, body_, sheet_, pitch_;
  i64 size_[3], stride_[3], filled_[3], length_[3];
  Reach reach_[3];
};

}  // namespace cv::CV_ISA
