// grad_input[b, i, s * stride + ...] += sum over outputs of grad_output * weight: rows are a window, vectors run over the batch.
//
// Windows overlap, so threads share out what is written: samples, or input channels. No two of them add to one place.
#pragma once

#include "along_window.hpp"
#include "correlate.hpp"
#include "held.hpp"
#include "units.hpp"

namespace cv::CV_ISA {

constexpr i64 kSmallWeights = 4 << 20;  // bytes that may be read again by every thread

// Whether threads own samples (and each reads all weights) or input channels.
template <class T>
bool by_samples(const cv_problem& p, i64 lanes, int threads) {
  const i64 blocks = (lanes + Lanes<T>::kMost - 1) / Lanes<T>::kMost;
  const i64 weights = kernels_of(p) * taps_of(p) * p.out_channels * p.classes[0].inputs * sizeof(T);
  if (is_uneven(p.in_channels, threads)) return blocks >= threads || p.in_channels < blocks;
  return !is_uneven(blocks, threads) && weights <= kSmallWeights;
}

template <class S>
int grad_input(const cv_problem& p, const cv_tensor& grad_output, const void* weight, const cv_tensor& grad_input, int threads) {
  using T = Computed<S>;
  if (p.way & CV_NEIGHBOURS) return correlate<S>(p, true, grad_output, weight, grad_input, threads);
  const i64 lanes = lanes_of<T>(p.batch), positions = outputs_of(p), inputs = inputs_of(p), window = largest_window(p);
  const i64 outputs = most_outputs(p);
  Buffer<T> gradient(p.out_channels * positions * lanes), result(p.in_channels * inputs * lanes);
  const i64 own_values = outputs * lanes + AlongWindow<T>::values(window, outputs) + Held<S>::values(window, outputs);
  const i64 own_places = 2 * window + outputs + Held<S>::places(window, outputs);
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(own_places * threads);
  if (!gradient || !result || !scratches || !tables) return CV_NO_MEMORY;
  const Rows out_rows(p.out_channels, p.axes, &cv_axis::output, grad_output.strides);
  to_lanes(static_cast<const S*>(grad_output.data), grad_output.strides[0], out_rows, p.batch, lanes, gradient.get(), threads,
           positions, positions);
  zero(result.get(), p.in_channels * inputs * lanes, threads);

  const bool samples = p.n_classes && by_samples<T>(p, lanes, threads);
  const i64 steps = lanes / Lanes<T>::kLeast;
  parallel(threads, [&](int worker, int workers) {
    Range mine_lanes{0, lanes}, mine_channels{0, p.in_channels};
    if (samples) {
      mine_lanes = share(steps, worker, workers);
      mine_lanes = {mine_lanes.begin * Lanes<T>::kLeast, mine_lanes.end * Lanes<T>::kLeast};
    } else {
      mine_channels = share(p.in_channels, worker, workers);
    }
    T* const scratch = scratches.get() + worker * own_values;
    i64* const own = tables.get() + worker * own_places;
    Window table{0, own, own + window};
    const AlongWindow<T> along(scratch + outputs * lanes, own + 2 * window);
    Held<S> held(scratch + outputs * lanes + AlongWindow<T>::values(window, outputs), own + 2 * window + outputs);
    each_block(p, positions, {0, count_of_blocks(p) * positions}, [&](const Block& block, i64 begin, i64 end) {
      Range read{0, block.n_inputs};
      while (read.begin < read.end && block.inputs[read.begin] < mine_channels.begin) ++read.begin;
      while (read.end > read.begin && block.inputs[read.end - 1] >= mine_channels.end) --read.end;
      if (read.begin == read.end) return;
      const bool few = mine_lanes.end - mine_lanes.begin < Lanes<T>::kMost;
      bool along_window = false;
      Box known{};
      for (i64 position = begin; position < end; ++position) {
        const Place s = place_of(p, position);
        const Box box = box_of(p, s);
        if (position == begin || !(box == known)) {
          table.build(p, box, block.inputs, read, lanes);
          held.begin(p, block, table);
          along_window = few && table.n >= Lanes<T>::kVector && (kIsHalf<S> || table.side_by_side()) &&
                         equally_spaced(held.rows(), block.n_outputs);
        }
        known = box;
        T* const origin = result.get() + origin_of(p, s, lanes);
        const i64 next = ahead_of(p, s), ahead = kIsHalf<S> ? 0 : next;
        held.at(p, block, table, static_cast<const S*>(weight) + kernel_of(p, s), next);
        const auto from = [&](i64 o) { return gradient.get() + (block.outputs[o] * positions + position) * lanes; };
        if (along_window) {
          along.add(table, held.base() + held.taps()[0], held.rows(), block.n_outputs, mine_lanes, ahead, from, origin);
          continue;
        }
        gather(block.n_outputs, mine_lanes, from, scratch);
        multiply_rows(
            table.n, mine_lanes, block.n_outputs, held.rows(), scratch, true, ahead,
            [&](i64 k) { return held.base() + held.taps()[k]; }, [&](i64 k) { return origin + table.input[k]; });
      }
    });
  });
  const Rows in_rows(p.in_channels, p.axes, &cv_axis::size, grad_input.strides);
  from_lanes(result.get(), grad_input.strides[0], in_rows, p.batch, lanes, static_cast<S*>(grad_input.data), threads);
  return CV_OK;
}

}  // namespace cv::CV_ISA
