// output[b, o, s] = sum over a window of input * weight: rows are outputs, vectors run over the batch.
#pragma once

#include "along_window.hpp"
#include "correlate.hpp"
#include "held.hpp"

namespace cv::CV_ISA {

template <class S>
int forward(const cv_problem& p, const cv_tensor& input, const void* weight, const cv_tensor& output, int threads) {
  using T = Computed<S>;
  if (p.way & CV_NEIGHBOURS) return correlate<S>(p, false, input, weight, output, threads);
  const i64 lanes = lanes_of<T>(p.batch), positions = outputs_of(p), window = largest_window(p);
  const i64 fit = kCache / (window * static_cast<i64>(sizeof(T)) + 1) / Lanes<T>::kMost * Lanes<T>::kMost;
  const i64 wanted = fit > Lanes<T>::kMost ? fit : Lanes<T>::kMost, together = wanted < lanes ? wanted : lanes;
  Buffer<T> laned(p.in_channels * inputs_of(p) * lanes), result(p.out_channels * positions * lanes);
  const i64 outputs = most_outputs(p), own_places = 2 * window + Held<S>::places(window, outputs);
  const i64 own_values = window * together + Held<S>::values(window, outputs);
  Buffer<T> windows(own_values * threads);
  Buffer<i64> tables(own_places * threads);
  if (!laned || !result || !windows || !tables) return CV_NO_MEMORY;
  const Rows in_rows(p.in_channels, p.axes, &cv_axis::size, input.strides);
  to_lanes(static_cast<const S*>(input.data), input.strides[0], in_rows, p.batch, lanes, laned.get(), threads, inputs_of(p),
           inputs_of(p));
  if (!every_output_reads(p)) zero(result.get(), p.out_channels * positions * lanes, threads);

  parallel(threads, [&](int worker, int workers) {
    T* const scratch = windows.get() + worker * own_values;
    i64* const places = tables.get() + worker * own_places;
    Window table{0, places, places + window};
    Held<S> held(scratch + window * together, places + 2 * window);
    const Range mine = share(count_of_blocks(p) * positions, worker, workers);
    each_block(p, positions, mine, [&](const Block& block, i64 begin, i64 end) {
      Box known{};
      bool along_window = false;
      for (i64 position = begin; position < end; ++position) {
        const Place s = place_of(p, position);
        const Box box = box_of(p, s);
        if (position == begin || !(box == known)) {
          table.build(p, box, block.inputs, {0, block.n_inputs}, lanes);
          held.begin(p, block, table);
          along_window = p.batch <= kFewSamples && table.n >= Lanes<T>::kVector && (kIsHalf<S> || table.side_by_side());
        }
        known = box;
        const T* const origin = laned.get() + origin_of(p, s, lanes);
        const i64 ahead = ahead_of(p, s);
        held.at(p, block, table, static_cast<const S*>(weight) + kernel_of(p, s), ahead);
        const auto row = [&](i64 o) { return held.base() + held.rows()[o]; };
        const auto out = [&](i64 o) { return result.get() + (block.outputs[o] * positions + position) * lanes; };
        if (along_window) {
          for (i64 b = 0; b < p.batch; ++b)
            for (i64 j = 0; j < table.n; ++j) scratch[b * table.n + j] = origin[table.input[j] + b];
          dot_rows(
              block.n_outputs, p.batch, scratch, table.n, kIsHalf<S> ? 0 : ahead, [&](i64 o) { return row(o) + held.taps()[0]; },
              out);
          continue;
        }
        for (i64 b0 = 0; b0 < lanes; b0 += together) {
          const Range these{b0, lanes < b0 + together ? lanes : b0 + together};
          gather(table.n, these, [&](i64 j) { return origin + table.input[j]; }, scratch);
          multiply_rows(block.n_outputs, these, table.n, held.taps(), scratch, false, kIsHalf<S> ? 0 : ahead, row, out);
        }
      }
    });
  });
  const Rows out_rows(p.out_channels, p.axes, &cv_axis::output, output.strides);
  from_lanes(result.get(), output.strides[0], out_rows, p.batch, lanes, static_cast<S*>(output.data), threads);
  return CV_OK;
}

}  // namespace cv::CV_ISA
