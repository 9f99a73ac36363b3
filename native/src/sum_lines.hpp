// grad_weight along the lines: a weight is a sum over samples and positions of its phase, and vectors run over these. Groups of
// samples are summed each for itself, and then in their order, so that threads may share them out; where groups are few, threads
// share out channels too.
#pragma once

#include "lines.hpp"

namespace cv::CV_ISA {

constexpr i64 kGroups = 16;  // of samples, whatever the number of threads: results do not depend on it

// Lines of a block, and whole blocks of so many lines.
inline i64 line_block(i64 lines) {
  i64 best = kLineBlocks[0];
  for (const i64 block : kLineBlocks)
    if ((lines + block - 1) / block * block < (lines + best - 1) / best * best) best = block;
  return best;
}

template <class S>
int sum_lines(const cv_problem& asked, const cv_tensor& asked_input, const cv_tensor& asked_output, void* grad_weight,
              int threads) {
  using T = Computed<S>;
  constexpr i64 V = Lanes<T>::kVector;
  const bool folds = folds_lines<T>(asked, false);
  const cv_problem p = folds ? downwards(asked) : asked;
  const cv_tensor input = folds ? downwards(asked_input) : asked_input,
                  grad_output = folds ? downwards(asked_output) : asked_output;
  const LineMap<T> map(p, false, p.in_channels + p.out_channels, kMostLines * V, folds);
  const Wires wires(p, false);
  if (!map || !wires) return CV_NO_MEMORY;
  const Direction(&directions)[3] = map.directions;
  const LineParts& parts = map.parts;
  const bool pieces = map.pieces;
  const auto itself = [&](int d) { return Reach{directions[d].phase(0).step, 0, 0}; };
  const Reach g_reach[3] = {itself(0), itself(1), itself(2)};
  const i64 lanes = map.lanes, vectors = (parts.positions[2] + lanes - 1) / lanes;
  const i64 under = folds ? map.segment : parts.positions[1];  // lines under each other
  const i64 block = line_block(pieces ? vectors : under);
  const auto blocks_of = [&](i64 count) { return (count + block - 1) / block * block; };
  // whole blocks and vectors, of which what is past the positions is zero in the gradient
  const i64 lines = blocks_of(pieces ? vectors : under);
  const i64 room[3] = {parts.positions[0], pieces ? 1 : lines, (pieces ? lines : vectors) * lanes};
  const i64 sizes[3] = {p.axes[0].size, p.axes[1].size, p.axes[2].size};
  const i64 g_sizes[3] = {p.axes[0].output, p.axes[1].output, p.axes[2].output};
  const Planes x_planes(p.in_channels, sizes, input.strides, map.reach, parts.positions, room, V, map.segment);
  const Planes g_planes(p.out_channels, g_sizes, grad_output.strides, g_reach, parts.positions, room, V, map.segment);
  const LineTaps taps(directions, x_planes, pieces ? 1 : kMostChunk);
  const i64 samples = p.batch * parts.all(), count = wires.count(), weights = count * taps.taps();
  const i64 fit = weights * kGroups * static_cast<i64>(sizeof(T)) <= kGroupSums ? kGroups : 1,
            groups = samples < fit ? samples : fit;
  const i64 shares = parts_of_each(groups, p.out_channels, threads);  // of the channels
  const i64 own = x_planes.values() + g_planes.values();
  Buffer<T> scratches(own * threads), sums(weights * groups);
  if (!taps || !scratches || !sums) return CV_NO_MEMORY;
  __builtin_memset(sums.get(), 0, weights * groups * sizeof(T));

  // What some samples add to the weights of some outputs; what is read of them goes to x and g.
  const auto add_samples = [&](Range mine, Range rows, T* own_sums, T* x, T* g) {
    for (i64 sample = mine.begin; sample < mine.end; ++sample) {
      const i64 b = sample / parts.all();
      i64 begin[3];
      parts.begin(sample % parts.all(), begin);
      x_planes.fill(static_cast<const S*>(input.data) + b * input.strides[0], {0, p.in_channels}, begin, x);
      g_planes.fill(static_cast<const S*>(grad_output.data) + b * grad_output.strides[0], rows, begin, g);
      LineSums<T> area{nullptr,
                       pieces ? lanes : g_planes.pitch(),
                       x,
                       nullptr,
                       pieces ? lanes : x_planes.pitch(),
                       parts.positions[0],
                       g_planes.sheet(),
                       x_planes.sheet(),
                       lines,
                       pieces ? lanes : room[2],
                       nullptr};
      each_phase(directions, [&](i64 k0, i64 k1, i64 k2) {
        const Chunks& chunks = taps.of(k0, k1, k2);
        for (i64 row = rows.begin; row < rows.end; ++row) {
          area.g = g + g_planes.at(k0, k1, k2) + row * g_planes.channel();
          for (int n = 1; n <= kMostChunk; ++n) {
            const i64 first = chunks.begin[n - 1], end = chunks.end[n - 1];
            i64 left = (wires.end(row) - wires.begin(row)) * (end - first), wire = wires.begin(row), chunk = first;
            while (left) {
              const i64 together = left >= kChunksOf[n] ? kChunksOf[n] : 1;
              i64 from[kMostTogether];
              T *to[kMostTogether], found[kMostTogether * kMostChunk + V];
              for (i64 k = 0; k < together; ++k) {
                from[k] = wires.channel(wire) * x_planes.channel() + taps.from()[chunk];
                to[k] = own_sums + wire * taps.taps() + taps.number(chunk);
                if (++chunk == end) chunk = first, ++wire;
              }
              left -= together;
              area.from = from;
              area.sums = found;
              sum_products<T>(lanes, block, together, n, area);
              for (i64 k = 0; k < together; ++k)
                for (int m = 0; m < n; ++m) to[k][m] += found[k * n + m];
            }
          }
        }
      });
    }
  };
  parallel(threads, [&](int worker, int workers) {
    T *const x = scratches.get() + own * worker, *const g = x + x_planes.values();
    const Range units = share(groups * shares, worker, workers);
    for (i64 unit = units.begin; unit < units.end; ++unit) {
      const Range mine = share(samples, static_cast<int>(unit / shares), static_cast<int>(groups));
      const Range rows = share(p.out_channels, static_cast<int>(unit % shares), static_cast<int>(shares));
      add_samples(mine, rows, sums.get() + unit / shares * weights, x, g);
    }
  });

  Buffer<bool> odd(threads);
  if (!odd) return CV_NO_MEMORY;
  for (int worker = 0; worker < threads; ++worker) odd.get()[worker] = false;
  parallel(threads, [&](int worker, int workers) {
    const Range some = share(count, worker, workers);
    for (i64 wire = some.begin; wire < some.end; ++wire) {
      S* const to = static_cast<S*>(grad_weight) + wires.weight(wire);
      const T* const from = sums.get() + wire * taps.taps();
      each_phase(directions, [&](i64 k0, i64 k1, i64 k2) {
        const Chunks& chunks = taps.of(k0, k1, k2);
        for (int n = 1; n <= kMostChunk; ++n)
          for (i64 chunk = chunks.begin[n - 1]; chunk < chunks.end[n - 1]; ++chunk)
            for (int m = 0; m < n; ++m) {
              T total = 0;
              for (i64 group = 0; group < groups; ++group) total += from[group * weights + taps.number(chunk) + m];
              odd.get()[worker] |= total * 0 != 0;
              to[taps.weight()[chunk * kMostChunk + m]] = narrow<S>(total);
            }
      });
    }
  });
  for (int worker = 0; worker < threads; ++worker)
    if (odd.get()[worker]) return kNotFinite;
  return CV_OK;
}

}  // namespace cv::CV_ISA
