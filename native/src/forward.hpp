// output[b, o, s] = sum over a window of input * weight: rows are outputs, vectors run over the batch.
#pragma once

#include "along_window.hpp"
#include "held.hpp"
#include "neighbours.hpp"

namespace cv::CV_ISA {

template <class S>
int forward(const cv_problem& p, const cv_tensor& input, const void* weight, const cv_tensor& output, int threads) {
  using T = Computed<S>;
  if (p.way & CV_NEIGHBOURS) return neighbours<S, false>(p, input, weight, output, threads);
  constexpr i64 kMost = Lanes<T>::kMost, kTogether = EachVectors<T>::kTogether;
  const i64 lanes = lanes_of<T>(p.batch), positions = outputs_of(p), window = largest_window(p);
  const i64 fit = kCache / (window * static_cast<i64>(sizeof(T)) + 1) / kMost * kMost;
  const i64 most = fit < kMost ? kMost : fit < kTogether ? fit : kTogether;
  const Stretches stretches(p, lanes < most ? most / lanes : 1);
  Laned<T> laned(p, p.in_channels, &cv_axis::size);
  const i64 plane = laned.plane();
  Buffer<T> result(p.out_channels * positions * lanes);
  const i64 outputs = most_outputs(p), own_places = 2 * window + Held<S>::places(window, outputs);
  const i64 own_values = window * kFewSamples + Held<S>::values(window, outputs);
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(own_places * threads);
  if (!stretches || !laned || !result || !scratches || !tables) return CV_NO_MEMORY;
  laned.template fill<S>(p, input, threads);
  if (!every_output_reads(p)) zero(result.get(), p.out_channels * positions * lanes, threads);

  parallel(threads, [&](int worker, int workers) {
    T* const scratch = scratches.get() + worker * own_values;
    i64* const places = tables.get() + worker * own_places;
    Window table{0, places, places + window};
    EachVectors<T> each;
    Held<S> held(scratch + window * kFewSamples, places + 2 * window);
    const Range mine = share(count_of_blocks(p) * stretches.count(), worker, workers);
    each_block(p, stretches.count(), mine, [&](const Block& block, i64 begin, i64 end) {
      Box known{};
      bool along_window = false;
      Stretch next = stretches[begin];
      for (i64 number = begin; number < end; ++number) {
        const Stretch stretch = next;
        if (number + 1 < end) next = stretches[number + 1];
        const Place& s = stretch.first;
        if (number == begin || !(stretch.box == known)) {
          table.build(p, stretch.box, block.inputs, {0, block.n_inputs}, plane, lanes);
          held.begin(p, block, table);
          along_window = p.batch <= kFewSamples && table.n >= Lanes<T>::kVector && (kIsHalf<S> || table.side_by_side());
        }
        known = stretch.box;
        const T* const origin = laned.get() + origin_of(p, s, lanes);
        const i64 x_across = stretch.across * p.axes[2].stride * lanes, across = stretch.across * lanes;
        const i64 ahead = ahead_of(p, stretch, next), position = position_of(p, s);
        // What the next stretch reads is fetched by the last of many outputs, where weights leave time for it.
        const bool fetches = !ahead && block.n_outputs >= 4 * kMostRows;
        const i64 x_ahead = fetches ? origin_of(p, next.first, lanes) - origin_of(p, s, lanes) : 0;
        held.at(p, block, table, static_cast<const S*>(weight) + kernel_of(p, s), ahead);
        const auto row = [&](i64 o) { return held.base() + held.rows()[o]; };
        const auto out = [&](i64 o) { return result.get() + (block.outputs[o] * positions + position) * lanes; };
        if (along_window) {
          for (i64 q = 0; q < stretch.count; ++q) {
            for (i64 b = 0; b < p.batch; ++b)
              for (i64 j = 0; j < table.n; ++j) scratch[b * table.n + j] = origin[q * x_across + table.input[j] + b];
            dot_rows(
                block.n_outputs, p.batch, scratch, table.n, kIsHalf<S> ? 0 : ahead,
                [&](i64 o) { return row(o) + held.taps()[0]; }, [&](i64 o) { return out(o) + q * across; });
          }
          continue;
        }
        for (i64 b0 = 0; b0 < lanes; b0 += most) {
          each.set(stretch.count, {b0, lanes < b0 + most ? lanes : b0 + most});
          for (i64 o = 0; o < block.n_outputs;) {
            const int rows = next_rows(block.n_outputs - o);
            const T* a[kMostRows];
            for (int m = 0; m < rows; ++m) a[m] = row(o + m);
            const bool last = x_ahead && o + rows == block.n_outputs;
            Fetch fetch = ahead && !kIsHalf<S> && !b0 ? Fetch::kRows : Fetch::kNothing;
            for (const Vectors& some : each) {
              T* to[kMostRows];
              for (int m = 0; m < rows; ++m) to[m] = out(o + m) + some.position[0] * across + some.lane[0];
              multiply_vectors<T>(some.lanes, some.count, rows,
                                  Tile<T>{.n = table.n,
                                          .a = a,
                                          .at = held.taps(),
                                          .x = origin + some.position[0] * x_across + some.lane[0],
                                          .step = 0,
                                          .out = to,
                                          .fetch = last ? Fetch::kX : fetch,
                                          .ahead = last ? x_ahead : ahead,
                                          .from = table.input,
                                          .x_next = some.next(x_across),
                                          .out_next = some.next(across)});
              fetch = Fetch::kNothing;
            }
            o += rows;
          }
        }
      }
    });
  });
  const Rows out_rows(p.out_channels, p.axes, &cv_axis::output, output.strides);
  from_lanes(result.get(), output.strides[0], out_rows, p.batch, lanes, static_cast<S*>(output.data), threads);
  return CV_OK;
}

}  // namespace cv::CV_ISA
