// forward and grad_input along the lines: a channel of what is written sums, over its wires and the taps of its phase, weights
// times vectors of neighbouring positions. Threads share out samples, parts of them, and where these are few, channels.
#pragma once

#include "lines.hpp"

namespace cv::CV_ISA {

// Neighbouring columns that are computed at once: vectors, `apart`, of which `columns` positions are kept.
struct ColumnBlock {
  i64 first, vectors, apart, columns;
};

// Whole vectors, the last of them moved back over its neighbour; one that reaches over the end where there is less than one.
inline ColumnBlock next_columns(i64 at, i64 count, i64 lanes) {
  const i64 last = count > lanes ? count - lanes : 0, first = at < last ? at : last;
  const i64 vectors = first < last ? kLineVectors : 1;
  const i64 apart = vectors == 2 && last - first < lanes ? last - first : lanes;
  const i64 end = first + (vectors - 1) * apart + lanes;
  return {first, vectors, apart, (end < count ? end : count) - first};
}

template <class S>
int correlate_lines(const cv_problem& given, bool back, const cv_tensor& from, const void* weight, const cv_tensor& to,
                    int threads) {
  using T = Computed<S>;
  if (!goes_along_lines<T>(given, back)) return kDeclined;
  const auto read_size = back ? &cv_axis::output : &cv_axis::size, write_size = back ? &cv_axis::size : &cv_axis::output;
  const i64 sizes[3] = {given.axes[0].*read_size, given.axes[1].*read_size, given.axes[2].*read_size};
  const i64 read_channels = back ? given.out_channels : given.in_channels;
  const i64 write_channels = back ? given.in_channels : given.out_channels;
  const Packed<S> packed(given, weight, threads);
  if (!packed) return CV_NO_MEMORY;
  const cv_problem& p = packed.problem();
  const auto along = [&](int d) { return Direction(p.axes[d], back, p.axes[d].*write_size, true); };
  const Direction directions[3] = {along(0), along(1), along(2)};
  const Wires wires(p, back);
  if (!directions[0] || !directions[1] || !directions[2] || !wires) return CV_NO_MEMORY;
  const Reach reach[3] = {reach_of(directions[0]), reach_of(directions[1]), reach_of(directions[2])};
  constexpr i64 kBlock = kMostLines * kLineVectors * Lanes<T>::kVector;
  const LineParts parts = line_parts<T>(read_channels, directions, reach, kBlock, p.way & CV_IN_SLABS);
  const bool pieces = in_pieces(parts);
  const i64 columns = parts.positions[2], lanes = line_lanes<T>(columns);
  const i64 piece = columns > kMostLines * lanes ? kLineVectors * lanes : lanes;  // of a line
  const i64 room[3] = {parts.positions[0], parts.positions[1],
                       pieces ? (columns + piece - 1) / piece * piece : columns > lanes ? columns : lanes};
  const Planes planes(read_channels, sizes, from.strides, reach, parts.positions, room, Lanes<T>::kVector);
  const LineTaps taps(directions, planes, pieces ? 1 : kMostChunk);
  const i64 count = wires.end(write_channels - 1);
  Buffer<i64> wire_from(count);
  const i64 line_values = kBlock + Lanes<T>::kVector, own = planes.values() + line_values;
  Buffer<T> scratches(own * threads);
  if (!taps || !wire_from || !scratches) return CV_NO_MEMORY;
  for (i64 wire = 0; wire < count; ++wire) wire_from.get()[wire] = wires.channel(wire) * planes.channel();

  const auto odd_of = [&](int worker) { return scratches.get() + own * (worker + 1) - Lanes<T>::kVector; };
  for (int worker = 0; worker < threads; ++worker)
    for (int v = 0; v < Lanes<T>::kVector; ++v) odd_of(worker)[v] = 0;

  const i64 samples = p.batch * parts.all();
  const i64 shares = (samples + threads - 1) / threads * threads * 4 > samples * 5 ? threads : 1;  // of the channels
  parallel(threads, [&](int worker, int workers) {
    T* const near = scratches.get() + own * worker;
    T *const block = near + planes.values();
    const Range mine = share(samples * shares, worker, workers);
    for (i64 unit = mine.begin, filled = -1; unit < mine.end; ++unit) {
      const i64 sample = unit / shares, b = sample / parts.all();
      const Range rows = share(write_channels, static_cast<int>(unit % shares), static_cast<int>(shares));
      i64 begin[3];
      parts.begin(sample % parts.all(), begin);
      if (filled != sample) planes.fill(static_cast<const S*>(from.data) + b * from.strides[0], {0, read_channels}, begin, near);
      filled = sample;
      S* const result = static_cast<S*>(to.data) + b * to.strides[0];

      // so many lines from q on, in columns of their own or as pieces of one line
      const auto write = [&](const Phase (&phase)[3], const i64 (&q)[3], const Chunks& chunks, i64 count, const ColumnBlock& at,
                             i64 pitch, i64 row_step) {
        const i64 step = phase[2].step * to.strides[4];
        i64 place = 0, x = 0;
        const i64 inside[3] = {planes.sheet(), planes.pitch(), 1};
        for (int d = 0; d < 3; ++d) {
          place += (phase[d].first + (begin[d] + q[d]) * phase[d].step) * to.strides[2 + d];
          x += q[d] * inside[d];
        }
        const i64 width = (at.vectors - 1) * at.apart + lanes;
        const bool whole = pieces ? at.columns == count * width : at.columns == width;
        const bool direct = whole && step == 1 && !kIsHalf<S>;
        Lines<T> lines{0, nullptr, nullptr, &chunks, taps.weight(), taps.from(), packed.weight(), near + x, pitch, at.apart,
                       block, width, odd_of(worker)};
        for (i64 row = rows.begin; row < rows.end; ++row) {
          lines.wires = wires.end(row) - wires.begin(row);
          lines.wire_weight = wires.weights() + wires.begin(row);
          lines.wire_from = wire_from.get() + wires.begin(row);
          S* const out = result + row * to.strides[1] + place;
          if constexpr (!kIsHalf<S>)
            if (direct) lines.out = out, lines.out_pitch = row_step;
          multiply_lines<T>(lanes, at.vectors, count, lines);
          if (direct) continue;
          for (i64 line = 0; line < count; ++line) {
            const i64 left = pieces ? at.columns - line * width : at.columns, kept = left < width ? left : width;
            S* const to_line = out + line * row_step;
            const T* const from_line = block + line * width;
            if (step == 1) narrow_row(from_line, kept, to_line);
            else
              for (i64 i = 0; i < kept; ++i) to_line[i * step] = narrow<S>(from_line[i]);
          }
        }
      };

      each_phase(directions, [&](i64 k0, i64 k1, i64 k2) {
        const Phase phase[3] = {directions[0].phase(k0), directions[1].phase(k1), directions[2].phase(k2)};
        const Chunks& chunks = taps.of(k0, k1, k2);
        i64 n[3];
        for (int d = 0; d < 3; ++d) {
          const i64 left = phase[d].count - begin[d];
          n[d] = left < parts.positions[d] ? left : parts.positions[d];
          if (n[d] <= 0) return;
        }
        const i64 blocks = (n[1] + kMostLines - 1) / kMostLines, height = (n[1] + blocks - 1) / blocks;
        for (i64 q0 = 0; q0 < n[0]; ++q0) {
          if (pieces) {
            for (i64 at = 0; at < n[2]; at += kMostLines * piece) {
              const i64 left = n[2] - at, kept = left < kMostLines * piece ? left : kMostLines * piece;
              write(phase, {q0, 0, at}, chunks, (kept + piece - 1) / piece, {at, piece / lanes, lanes, kept}, piece,
                    piece * phase[2].step * to.strides[4]);
            }
            continue;
          }
          for (i64 k = 0; k < blocks; ++k)
            for (i64 at = 0; at < n[2];) {
              const ColumnBlock columns = next_columns(at, n[2], lanes);
              write(phase, {q0, k * height < n[1] - height ? k * height : n[1] - height, columns.first}, chunks, height, columns,
                    planes.pitch(), phase[1].step * to.strides[3]);
              at = columns.first + columns.columns;
            }
        }
      });
    }
  });
  for (int worker = 0; worker < threads; ++worker)
    for (int v = 0; v < Lanes<T>::kVector; ++v)
      if (odd_of(worker)[v] != 0) return kDeclined;
  return CV_OK;
}

}  // namespace cv::CV_ISA
