// grad_input[b, i, s * stride + ...] += sum over outputs of grad_output * weight: rows are a window, vectors run over the batch.
#pragma once

#include "along_window.hpp"
#include "beside.hpp"
#include "columns.hpp"
#include "forward.hpp"
#include "held.hpp"
#include "mirrored.hpp"
#include "neighbours.hpp"
#include "sharing.hpp"

namespace cv::CV_ISA {

template <class S>
int grad_input(const cv_problem& p, const cv_tensor& grad_output, const void* weight, const cv_tensor& grad_input, int threads) {
  using T = Computed<S>;
  if (p.way & CV_NEIGHBOURS) return neighbours<S, true>(p, grad_output, weight, grad_input, threads);
  if (is_mirrored(p)) {
    const Mirrored<S> mirrored(p, weight, threads);
    return mirrored ? forward<S>(mirrored.problem(), grad_output, mirrored.weight(), grad_input, threads) : CV_NO_MEMORY;
  }
  const i64 lanes = lanes_of<T>(p.batch), inputs = inputs_of(p), window = largest_window(p);
  const i64 outputs = most_outputs(p);
  constexpr i64 kTogether = 2 * Lanes<T>::kMost;  // samples whose gradients stay in a core's first cache
  const Sharing<T> sharing(p, threads);
  const i64 join = lanes < Lanes<T>::kMost ? 1 : joined<S>(p);  // whatever the number of threads: sums follow from it
  // One position of a shared kernel at a time: what two of them add to one place would come in an order that threads change.
  const Stretches stretches(p, 1, join);
  Laned<T> gradient(p, p.out_channels, &cv_axis::output);
  const i64 plane = gradient.plane();
  Buffer<T> result(p.in_channels * inputs * lanes);
  const i64 gathered = outputs * kTogether * join;
  const i64 own_values = gathered + AlongWindow<T>::values(window, outputs) + Held<S>::values(window, outputs);
  const i64 held_places = outputs + Held<S>::places(window, outputs);
  const i64 own_places = 2 * window + held_places + Columns::places(p.axes[2], join, outputs);
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(own_places * threads);
  const i64 most_columns = Columns::most(p.axes[2], join);
  Buffer<Column> all_columns(most_columns * threads);
  if (!stretches || !all_columns || !gradient || !result || !scratches || !tables) return CV_NO_MEMORY;
  gradient.template fill<S>(p, grad_output, threads);
  zero(result.get(), p.in_channels * inputs * lanes, threads);

  parallel(threads, [&](int worker, int workers) {
    const Share mine = sharing.of(worker, workers);
    T* const scratch = scratches.get() + worker * own_values;
    i64* const own = tables.get() + worker * own_places;
    Window table{0, own, own + window};
    const AlongWindow<T> along(scratch + gathered, own + 2 * window);
    Held<S> held(scratch + gathered + AlongWindow<T>::values(window, outputs), own + 2 * window + outputs);
    Columns columns(all_columns.get() + worker * most_columns, own + 2 * window + held_places);
    const i64 all = stretches.count();
    each_block(p, all, {0, count_of_blocks(p) * all}, [&](const Block& block, i64 begin, i64 end) {
      Range read{0, block.n_inputs};
      while (read.begin < read.end && block.inputs[read.begin] < mine.channels.begin) ++read.begin;
      while (read.end > read.begin && block.inputs[read.end - 1] >= mine.channels.end) --read.end;
      if (read.begin == read.end) return;
      const bool few = join == 1 && mine.lanes.end - mine.lanes.begin < Lanes<T>::kMost;
      bool runs_along = false, beside = false;
      Box known{};
      i64 known_count = 0;
      Stretch next = stretches[begin];
      for (i64 number = begin; number < end; ++number) {
        const Stretch stretch = next;
        if (number + 1 < end) next = stretches[number + 1];
        const Place& s = stretch.first;
        if (number == begin || !(stretch.box == known)) {
          Box box = stretch.box;
          if (join > 1 && box.low[2] < box.high[2]) box.high[2] = box.low[2] + 1;  // columns have the other taps
          table.build(p, box, block.inputs, read, inputs, lanes);
          held.begin(p, block, table);
          known_count = 0;
          columns.set_one(held.rows());
          const bool side_by_side = kIsHalf<S> || table.side_by_side();
          runs_along = table.n >= Lanes<T>::kVector && side_by_side && equally_spaced(held.rows(), block.n_outputs);
          beside = kAreBeside && side_by_side && table.n >= kBeside;
        }
        known = stretch.box;
        if (join > 1 && stretch.count != known_count)
          columns.set(p.axes[2], known.low[2], known.high[2], stretch.count, held.rows(), block.n_outputs);
        known_count = stretch.count;
        T* const origin = result.get() + origin_of(p, s, lanes);
        const i64 following = ahead_of(p, stretch, next), ahead = kIsHalf<S> ? 0 : following;
        const i64 across = stretch.across * lanes, position = position_of(p, s);
        held.at(p, block, table, static_cast<const S*>(weight) + kernel_of(p, s), following);
        const auto from = [&](i64 o) { return gradient.get() + (block.outputs[o] * plane + position) * lanes; };
        if (few && runs_along) {
          along.add(table, held.base() + held.taps()[0], held.rows(), block.n_outputs, mine.lanes, ahead, from, origin);
          continue;
        }
        for (i64 b0 = mine.lanes.begin; b0 < mine.lanes.end; b0 += kTogether) {
          const i64 b_end = mine.lanes.end < b0 + kTogether ? mine.lanes.end : b0 + kTogether;
          T* to = scratch;
          for (i64 b = b0; b < b_end;) {
            const int r = next_lanes<T>(b_end - b);
            for (i64 q = 0; q < stretch.count; ++q)
              for (i64 o = 0; o < block.n_outputs; ++o, to += r) {
                const T* const vectors = from(o) + q * across + b;
                __builtin_prefetch(vectors + stretch.count * across, 0, 2);
                copy_lanes(r, vectors, to);
              }
            b += r;
          }
          const T* const base = held.base();
          const i64 *const taps = held.taps(), *const input = table.input;
          const int turn = static_cast<int>(kMostRows / (columns.count() + 1));
          i64 k = 0;
          if (beside) {
            const i64 fetched = b0 == mine.lanes.begin ? ahead : 0;
            k = add_beside(table, base + taps[0], held.rows(), block.n_outputs, {b0, b_end}, fetched, scratch, origin);
          }
          while (k < table.n) {
            const int rows = next_rows(table.n - k);
            int first = 0;  // of the rows: another for each column, so that all of them are fetched ahead
            for (const Column& column : columns) {
              const T* a[kMostRows];
              T *at[kMostRows], *out[kMostRows];
              T* const column_origin = origin + column.input * lanes;
              const auto put = [&](int place, i64 row, int count) {  // by parts: a condition on each would become a slow gather
                for (int m = 0; m < count; ++m) a[place + m] = base + taps[row + m];
                for (int m = 0; m < count; ++m) at[place + m] = column_origin + input[row + m];
              };
              put(0, k + first, rows - first);
              put(rows - first, k, first);
              first = first + 1 + turn < rows ? first + 1 + turn : 0;
              const T* x = scratch;
              for (i64 b = b0; b < b_end;) {
                const int r = next_lanes<T>(b_end - b);
                for (int m = 0; m < rows; ++m) out[m] = at[m] + b;
                multiply_lanes<T>(r, rows,
                                  Tile<T>{.n = column.count * block.n_outputs,
                                          .a = a,
                                          .at = column.at,
                                          .x = x + column.first * block.n_outputs * r,
                                          .step = r,
                                          .out = out,
                                          .add = true,
                                          .fetch = ahead && b == mine.lanes.begin ? Fetch::kFirst : Fetch::kNothing,
                                          .ahead = ahead});
                x += stretch.count * block.n_outputs * r;
                b += r;
              }
            }
            k += rows;
          }
        }
      }
    });
  });
  const Rows in_rows(p.in_channels, p.axes, &cv_axis::size, grad_input.strides);
  from_lanes(result.get(), grad_input.strides[0], in_rows, p.batch, lanes, static_cast<S*>(grad_input.data), threads);
  return CV_OK;
}

}  // namespace cv::CV_ISA
