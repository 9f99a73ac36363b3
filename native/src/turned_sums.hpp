// grad_weight with vectors over outputs: rows are a window, j runs over samples, and over all positions that share a kernel.
// Windows are read where they lie; what is turned over are the sums, to the order of the weights.
#pragma once

#include "layout.hpp"
#include "outward.hpp"
#include "phases.hpp"
#include "sums.hpp"
#include "units.hpp"
#include "window_part.hpp"

namespace cv::CV_ISA {

constexpr i64 kTerms = 192;  // of a sum before it goes back to memory: their gradients stay in a core's first cache

template <class S>
int with_turned_sums(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  const i64 lanes = lanes_of<T>(p.batch), window = largest_window(p), kernels = kernels_of(p), blocks = count_of_blocks(p);
  Laned<T> laned(p, p.in_channels, &cv_axis::size);
  const i64 plane = laned.plane();
  const auto direction = [&](int d) { return Direction(p.axes[d], false, p.axes[d].output, true); };
  const Direction d0 = direction(0), d1 = direction(1), d2 = direction(2);
  Outward<T> gradient(p);
  // A unit is a kernel and some inputs.
  const i64 taps = taps_of(p), units = blocks * kernels, row_of_sums = lanes_of<T>(most_outputs(p));
  const i64 parts = parts_of(p, units, window * row_of_sums * static_cast<i64>(sizeof(T)), threads);
  const i64 own_sums = (window / taps + parts - 1) / parts * taps * row_of_sums;
  const i64 own_places = WindowPart::places(window) + 3 * kTerms + most_outputs(p);
  Buffer<T> all_sums(own_sums * threads);
  Buffer<i64> tables(own_places * threads);
  if (!d0 || !d1 || !d2 || !gradient || !laned || !all_sums || !tables) return CV_NO_MEMORY;
  laned.template fill<S>(p, input, threads);
  gradient.template fill<S>(p, grad_output, threads);

  parallel(threads, [&](int worker, int workers) {
    T* const sums = all_sums.get() + worker * own_sums;
    i64* const places = tables.get() + worker * own_places;
    i64* const at = places + WindowPart::places(window);  // for each term
    i64 *const sample = at + kTerms, *const from = sample + kTerms;
    i64* const row = from + kTerms;  // for each output
    each_block(p, kernels * parts, share(units * parts, worker, workers), [&](const Block& block, i64 begin, i64 end) {
      for (i64 o = 0; o < block.n_outputs; ++o) row[o] = p.rows[block.outputs[o]];
      WindowPart part(places, window);
      for (i64 unit = begin; unit < end; ++unit) {
        const Range mine = share(block.n_inputs, static_cast<int>(unit / kernels), static_cast<int>(parts));
        if (mine.begin == mine.end) continue;
        part.read(p, block.inputs, mine, plane, lanes);
        const i64 kernel = unit % kernels, n = part.full.n;
        const Phase& p0 = d0.phase(kernel / (p.axes[1].tile * p.axes[2].tile));
        const Phase& p1 = d1.phase(kernel / p.axes[2].tile % p.axes[1].tile);
        const Phase& p2 = d2.phase(kernel % p.axes[2].tile);
        const Place first{{p0.first, p1.first, p2.first}};
        S* const result = static_cast<S*>(grad_weight) + kernel_of(p, first);
        i64 terms = 0;

        const auto flush = [&] {
          each_group<T>(block.n_outputs, [&](Group group) {
            for (i64 j = 0; j < terms; ++j) from[j] = sample[j] * group.width;
            for (i64 k = 0; k < part.n_met;) {
              const int rows = next_rows(part.n_met - k);
              const T* a[kMostRows];
              T* out[kMostRows];
              for (int m = 0; m < kMostRows; ++m) a[m] = laned.get() + part.input[k + m];  // of all rows: a number of them known
              for (int m = 0; m < kMostRows; ++m) out[m] = sums + group.first * n + part.met[k + m] * group.width;
              multiply_lanes<T>(group.width, rows,
                                Tile<T>{.n = terms,
                                        .a = a,
                                        .at = at,
                                        .x = gradient.begin(block, group),
                                        .step = 0,
                                        .out = out,
                                        .add = true,
                                        .from = from});
              k += rows;
            }
          });
          terms = 0;
        };

        __builtin_memset(sums, 0, n * lanes_of<T>(block.n_outputs) * sizeof(T));
        for (const Run& r0 : p0.runs)
          for (const Run& r1 : p1.runs)
            for (const Run& r2 : p2.runs) {
              part.meet(p, {{r0.low, r1.low, r2.low}, {r0.high, r1.high, r2.high}});
              for (i64 q = 0; q < r0.count * r1.count * r2.count; ++q) {
                const auto along = [](const Run& r, i64 number) { return r.phase->first + (r.begin + number) * r.phase->step; };
                const Place s{
                    {along(r0, q / (r1.count * r2.count)), along(r1, q / r2.count % r1.count), along(r2, q % r2.count)}};
                const i64 origin = origin_of(p, s, lanes), position = gradient.sample(position_of(p, s));
                for (i64 b = 0; b < p.batch; ++b, ++terms) {
                  if (terms == kTerms) flush();
                  at[terms] = origin + b;
                  sample[terms] = position + b;
                }
              }
              if (terms) flush();
            }
        each_group<T>(block.n_outputs, [&](Group group) {
          const i64 left = block.n_outputs - group.first;
          turn_sums(Sums<T>{sums + group.first * n,
                            group,
                            left < group.width ? left : group.width,
                            {0, n},
                            row + group.first,
                            part.full.weight,
                            part.side_by_side,
                            p.add != 0,
                            false},
                    result);
        });
      }
    });
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
