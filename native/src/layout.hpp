// Tensors with the batch innermost: an element of a window is then a contiguous vector of samples.
#pragma once

#include "convarium.h"
#include "kernel.hpp"
#include "memory.hpp"
#include "threads.hpp"
#include "transpose.hpp"

namespace cv::CV_ISA {

// A tensor with strides as rows of equally spaced positions; neighbouring directions that lie in one row are joined, channels not
// where they are to be apart.
struct Rows {
  i64 count;   // of rows
  i64 length;  // of a row
  i64 step;    // from an element of a row to the next
  i64 sizes[4], strides[4];
  int outer;

  Rows(i64 channels, const cv_axis (&axes)[3], i64 cv_axis::* size, const i64* stride, bool apart = false) {
    i64 s[4] = {channels, axes[0].*size, axes[1].*size, axes[2].*size};
    i64 t[4] = {stride[1], stride[2], stride[3], stride[4]};
    int n = 0;
    for (int d = 0; d < 4; ++d) {
      if (s[d] == 1) continue;
      const bool after_channels = n == 1 && channels > 1;
      if (n && strides[n - 1] == t[d] * s[d] && !(apart && after_channels)) {
        sizes[n - 1] *= s[d];
        strides[n - 1] = t[d];
      } else {
        sizes[n] = s[d];
        strides[n++] = t[d];
      }
    }
    outer = n ? n - 1 : 0;
    length = n ? sizes[outer] : 1;
    step = n ? strides[outer] : 1;
    count = 1;
    for (int d = 0; d < outer; ++d) count *= sizes[d];
  }

  i64 begin(i64 row) const {
    i64 offset = 0;
    for (int d = outer - 1; d >= 0; --d) {
      offset += row % sizes[d] * strides[d];
      row /= sizes[d];
    }
    return offset;
  }
};

constexpr i64 kPiece = 64;

// Calls body(position, offset, count): `count` positions from `position` on, the first of them `offset` elements into a sample.
template <class T, class F>
void each_piece(const Rows& rows, Range positions, F body) {
  for (i64 at = positions.begin; at < positions.end;) {
    const i64 row = at / rows.length, first = at % rows.length;
    const i64 end = rows.length < first + positions.end - at ? rows.length : first + positions.end - at;
    const i64 offset = rows.begin(row);
    for (i64 i = first; i < end; i += kPiece, at += kPiece) body(at, offset + i * rows.step, end - i < kPiece ? end - i : kPiece);
    at = row * rows.length + end;
  }
}

// Positions from a channel to the next, so that channels do not fall on the same lines of a cache.
template <class T>
i64 pitch_of(i64 positions, i64 lanes) {
  constexpr i64 kPage = 4096, kApart = 256;
  const i64 bytes = lanes * static_cast<i64>(sizeof(T));
  for (int more = 0; more < 4 && positions > 1; ++more) {
    const i64 past = (positions + more) * bytes % kPage;
    if (past >= kApart && past <= kPage - kApart) return positions + more;
  }
  return positions;
}

template <class S, class T>
void from_lanes(const T* from, i64 batch_stride, const Rows& rows, i64 batch, i64 lanes, S* to, int threads) {
  parallel(threads, [&](int worker, int workers) {
    each_piece<T>(rows, share(rows.count * rows.length, worker, workers), [&](i64 position, i64 offset, i64 count) {
      const T* source = from + position * lanes;
      S* target = to + offset;
      if (rows.step == 1) {
        constexpr i64 V = Lanes<T>::kVector;
        for (i64 b = 0; b < batch; b += V)
          transpose(source + b, lanes, count, batch - b < V ? batch - b : V, target + b * batch_stride, batch_stride,
                    {lanes - b, count});
      } else {
        for (i64 b = 0; b < batch; ++b)
          for (i64 i = 0; i < count; ++i) target[b * batch_stride + i * rows.step] = narrow<S>(source[i * lanes + b]);
      }
    });
  });
}

// Lanes that a batch is rounded up to, and the vectors that they are worked on in.
template <class T>
i64 lanes_of(i64 batch) {
  constexpr i64 least = Lanes<T>::kLeast;
  return (batch + least - 1) / least * least;
}

template <class T>
int next_lanes(i64 left) {
  int lanes = Lanes<T>::kMost;
  while (lanes > left) lanes /= 2;
  return lanes;
}

// What is read: (blocks of samples, channels, positions, width), zeros where there are no more samples.
template <class T>
class Laned {
 public:
  // Of an input's positions (&cv_axis::size), or of an output's; all samples are one block, or each `width` of them.
  Laned(const cv_problem& p, i64 channels, i64 cv_axis::* size, i64 width = 0)
      : size_(size),
        channels_(channels),
        positions_(p.axes[0].*size * (p.axes[1].*size) * (p.axes[2].*size)),
        width_(width && width < lanes_of<T>(p.batch) ? width : lanes_of<T>(p.batch)),
        blocks_(width_ ? (p.batch + width_ - 1) / width_ : 0),
        plane_(pitch_of<T>(positions_, width_)),
        values_(blocks_ * block()) {}
  explicit operator bool() const { return static_cast<bool>(values_); }
  i64 plane() const { return plane_; }                       // positions from a channel to the next
  i64 width() const { return width_; }                       // samples of a position that lie side by side
  i64 block() const { return channels_ * plane_ * width_; }  // elements from a block to the next
  const T* get() const { return values_.get(); }

  template <class S>
  void fill(const cv_problem& p, const cv_tensor& tensor, int threads) {
    constexpr i64 kLine = 64 / sizeof(S);
    const Rows rows(channels_, p.axes, size_, tensor.strides, plane_ != positions_);
    const i64 next = tensor.strides[0];
    parallel(threads, [&](int worker, int workers) {
      each_piece<T>(rows, share(rows.count * rows.length, worker, workers), [&](i64 position, i64 offset, i64 count) {
        const S* source = static_cast<const S*>(tensor.data) + offset;
        T* target = values_.get() + (position + position / positions_ * (plane_ - positions_)) * width_;
        if (rows.step == 1)
          for (i64 b = 0; b < p.batch; ++b)  // the next piece, while this one is turned
            for (i64 i = 0; i < kPiece; i += kLine) __builtin_prefetch(source + b * next + kPiece + i, 0, 2);
        for (i64 left = p.batch; left > 0; left -= width_, source += width_ * next, target += block()) {
          const i64 samples = left < width_ ? left : width_;
          if (rows.step == 1) {
            transpose(source, next, samples, count, target, width_, {count, width_});
          } else {
            for (i64 b = 0; b < samples; ++b)
              for (i64 i = 0; i < count; ++i) target[i * width_ + b] = widen(source[b * next + i * rows.step]);
            for (i64 i = 0; i < count; ++i)
              for (i64 b = samples; b < width_; ++b) target[i * width_ + b] = 0;
          }
        }
      });
    });
  }

 private:
  i64 cv_axis::* size_;
  i64 channels_, positions_, width_, blocks_, plane_;
  Buffer<T> values_;
};

}  // namespace cv::CV_ISA
