// A gradient with outputs innermost, so that vectors run over them.
#pragma once

#include "layout.hpp"
#include "units.hpp"

namespace cv::CV_ISA {

// Outputs of a block that are worked on at once, from the first on: one vector or two, or a half.
struct Group {
  i64 first;
  int width;
};

template <class T, class F>
void each_group(i64 outputs, F body) {
  const i64 lanes = lanes_of<T>(outputs);
  for (i64 first = 0; first < lanes;) {
    const int width = next_lanes<T>(lanes - first);
    body(Group{first, width});
    first += width;
  }
}

// A gradient with outputs innermost: for each group (positions, samples, outputs), zeros where a block has no more of them.
template <class T>
class Outward {
 public:
  explicit Outward(const cv_problem& p)
      : samples_(p.batch | 1),  // an odd number, so that positions do not fall on the same lines of a cache
        plane_(outputs_of(p) * samples_),
        column_(p.out_channels),
        values_(plane_ * columns_of(p)) {
    if (!*this) return;
    i64 column = 0;
    each_block(p, 1, {0, count_of_blocks(p)}, [&](const Block& block, i64, i64) {
      column_.get()[block.outputs[0]] = column;
      column += lanes_of<T>(block.n_outputs);
    });
  }
  explicit operator bool() const { return column_ && values_; }

  i64 position(Group group) const { return samples_ * group.width; }  // from one to the next
  i64 sample(i64 position) const { return position * samples_; }  // the first of a position: each has as many as a group's width
  T* begin(const Block& block, Group group) const {
    return values_.get() + (column_.get()[block.outputs[0]] + group.first) * plane_;
  }

  template <class S>
  void fill(const cv_problem& p, const cv_tensor& gradient, int threads) {
    const i64 strides[5] = {0, gradient.strides[0], gradient.strides[2], gradient.strides[3], gradient.strides[4]};
    const Rows rows(p.batch, p.axes, &cv_axis::output, strides, true);
    parallel(threads, [&](int worker, int workers) {
      each_piece<T>(rows, share(rows.count * rows.length, worker, workers), [&](i64 at, i64 offset, i64 count) {
        const S* const from = static_cast<const S*>(gradient.data) + offset;
        const i64 sample = at / outputs_of(p), position = at % outputs_of(p);
        each_block(p, 1, {0, count_of_blocks(p)}, [&](const Block& block, i64, i64) {
          each_group<T>(block.n_outputs, [&](Group group) {
            T* const to = begin(block, group) + position * this->position(group) + sample * group.width;
            const i64 next = outputs_of(p) > 1 ? this->position(group) : group.width;  // of one position samples are a row
            constexpr int V = Lanes<T>::kVector;
            if (group.width >= V) turn_piece<V>(block, group, from, gradient.strides[1], rows.step, count, to, next);
            else turn_piece<Lanes<T>::kLeast>(block, group, from, gradient.strides[1], rows.step, count, to, next);
          });
        });
      });
    });
  }

 private:
  template <int V, class S>
  void turn_piece(const Block& block, Group group, const S* from, i64 channel, i64 step, i64 count, T* to, i64 next) const {
    using Vec = typename Vector<T, V>::type;
    constexpr i64 kLine = 64 / sizeof(S);
    const i64 last = group.first + group.width < block.n_outputs ? group.first + group.width : block.n_outputs;
    if (step == 1)  // the next piece, while this one is turned
      for (i64 o = group.first; o < last; ++o)
        for (i64 i = 0; i < kPiece; i += kLine) __builtin_prefetch(from + block.outputs[o] * channel + kPiece + i, 0, 2);
    for (i64 o = group.first; o < group.first + group.width; o += V, to += V)
      for (i64 i = 0; i < count; i += V) {
        const auto row = [&](int r) { return from + block.outputs[o + r] * channel + i * step; };
        T* const here = to + i * next;
        const i64 left = block.n_outputs - o;
        if (step == 1 && count - i >= V) {
          turn_rows<V>([&](int r) { return r < left ? read<V>(row(r)) : Vec{}; }, V, here, next);
          continue;
        }
        for (i64 k = 0; k < count - i && k < V; ++k)
          for (int r = 0; r < V; ++r) here[k * next + r] = r < left ? widen(row(r)[k * step]) : T(0);
      }
  }

  static i64 columns_of(const cv_problem& p) {
    i64 columns = 0;
    for (i64 k = 0; k < p.n_classes; ++k) columns += p.classes[k].count * lanes_of<T>(p.classes[k].outputs);
    return columns;
  }

  i64 samples_, plane_;
  Buffer<i64> column_;
  Buffer<T> values_;
};

}  // namespace cv::CV_ISA
