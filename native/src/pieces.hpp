// Tensors cut into pieces of lines, those of all samples of a channel after each other: what neighbouring positions read then
// lies side by side, and what one piece needs lies near.
#pragma once

#include "convarium.h"
#include "memory.hpp"
#include "numbers.hpp"
#include "threads.hpp"

namespace cv::CV_ISA {

constexpr i64 kLinesTogether = 8;  // that are read one after the other

// (lines, pieces, channels, samples, columns): piece n of a line has its columns first + n * across and on, zeros outside.
template <class T>
class Pieces {
 public:
  Pieces(i64 lines, i64 pieces, i64 channels, i64 samples, i64 columns)
      : pieces_(pieces),
        channels_(channels),
        samples_(samples),
        columns_(columns),
        values_(lines * pieces * channels * samples * columns + Lanes<T>::kVector) {}
  explicit operator bool() const { return static_cast<bool>(values_); }
  i64 columns() const { return columns_; }             // from a sample to the next
  i64 channel() const { return samples_ * columns_; }  // from a channel to the next
  T* at(i64 line, i64 piece) const { return values_.get() + (line * pieces_ + piece) * channels_ * channel(); }

  // Of a tensor of so many positions in the three directions.
  template <class S>
  void fill(const cv_tensor& tensor, const i64 (&sizes)[3], i64 first, i64 across, int threads) {
    const i64* const strides = tensor.strides;
    const i64 lines = sizes[0] * sizes[1], blocks = (lines + kLinesTogether - 1) / kLinesTogether;
    parallel(threads, [&](int worker, int workers) {
      const Range mine = share(channels_ * blocks, worker, workers);
      for (i64 unit = mine.begin; unit < mine.end; ++unit) {
        const i64 channel = unit / blocks, begin = unit % blocks * kLinesTogether;
        const i64 end = lines < begin + kLinesTogether ? lines : begin + kLinesTogether;
        for (i64 sample = 0; sample < samples_; ++sample) {
          const S* const from = static_cast<const S*>(tensor.data) + sample * strides[0] + channel * strides[1];
          for (i64 line = begin; line < end; ++line) {
            const S* const source = from + line / sizes[1] * strides[2] + line % sizes[1] * strides[3];
            for (i64 piece = 0; piece < pieces_; ++piece)
              fill_columns(source, strides[4], sizes[2], first + piece * across,
                           at(line, piece) + (channel * samples_ + sample) * columns_);
          }
        }
      }
    });
  }

 private:
  template <class S>
  void fill_columns(const S* line, i64 step, i64 size, i64 first, T* to) const {
    i64 k = 0, end = columns_;
    while (k < end && first + k < 0) to[k++] = T(0);
    while (end > k && first + end > size) to[--end] = T(0);
    if constexpr (!kIsHalf<S>)
      if (step == 1) return copy_few(line + first + k, end - k, to + k);
    for (; k < end; ++k) to[k] = widen(line[(first + k) * step]);
  }

  i64 pieces_, channels_, samples_, columns_;
  Buffer<T> values_;
};

}  // namespace cv::CV_ISA
