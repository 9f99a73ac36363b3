// How threads share out a gradient that windows add to. Windows overlap, so what is written is shared out: samples, or input
// channels. No two threads add to one place.
#pragma once

#include "layout.hpp"
#include "units.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr i64 kSmallWeights = 4 << 20;  // bytes that may be read again by every thread

struct Share {
  Range lanes, channels;
};

template <class T>
class Sharing {
 public:
  Sharing(const cv_problem& p, int threads) : channels_(p.in_channels), lanes_(lanes_of<T>(p.batch)) {
    const i64 blocks = (lanes_ + Lanes<T>::kMost - 1) / Lanes<T>::kMost;
    const i64 weights = count_of_edges(p) * kernels_of(p) * taps_of(p) * static_cast<i64>(sizeof(T));
    samples_ = is_uneven(channels_, threads) ? blocks >= threads || channels_ < blocks
                                             : !is_uneven(blocks, threads) && weights <= kSmallWeights;
  }

  Share of(int worker, int workers) const {
    if (!samples_) return {{0, lanes_}, share(channels_, worker, workers)};
    constexpr i64 least = Lanes<T>::kLeast;
    const Range steps = share(lanes_ / least, worker, workers);
    return {{steps.begin * least, steps.end * least}, {0, channels_}};
  }

 private:
  i64 channels_, lanes_;
  bool samples_;
};

}  // namespace cv::CV_ISA
