// forward and grad_input along the lines: a channel of what is written sums, over its wires and the taps of its phase, weights
// times vectors of neighbouring positions. Threads share out samples, parts of them, and where these are few, channels.
#pragma once

#include "lines.hpp"

namespace cv::CV_ISA {

// Lines that are computed at once, from position `q` of a part on: in vectors, `apart`, of which `columns` positions are kept.
struct LineBlock {
  i64 q[3];
  i64 lines, vectors, apart, columns;
  Chunks chunks;
};

// The lines of a phase in a part of a sample, in blocks.
class LineBlocks {
 public:
  // For no more than so many positions. `pieces`: lines are pieces of one, each as long as `vectors`.
  LineBlocks(const i64 (&positions)[3], bool pieces, i64 lanes)
      : pieces_(pieces),
        lanes_(lanes),
        vectors_(positions[2] > kMostLines * lanes ? kLineVectors : 1),
        most_(positions[0] * (positions[1] / kMostLines + 1) * (positions[2] / lanes + 1)) {}
  i64 most() const { return most_; }

  // From one line to the next that lies under it, and how much of a direction has to be there to be read.
  i64 piece() const { return vectors_ * lanes_; }
  i64 room(i64 columns) const {
    return pieces_ ? (columns + piece() - 1) / piece() * piece() : columns > lanes_ ? columns : lanes_;
  }

  // Writes the blocks of so many positions from `to` on, and returns where they end. `chunks_of(sheet)`: the taps that meet one,
  // in the first direction.
  template <class F>
  LineBlock* cut(const i64 (&positions)[3], F chunks_of, LineBlock* to) const {
    for (i64 sheet = 0; sheet < positions[0]; ++sheet) {
      const Chunks chunks = chunks_of(sheet);
      to = pieces_ ? add_pieces(sheet, positions[2], chunks, to) : add_lines(sheet, positions[1], positions[2], chunks, to);
    }
    return to;
  }

 private:
  LineBlock* add_pieces(i64 sheet, i64 columns, const Chunks& chunks, LineBlock* to) const {
    for (i64 at = 0; at < columns; at += kMostLines * piece()) {
      const i64 left = columns - at, kept = left < kMostLines * piece() ? left : kMostLines * piece();
      *to++ = {{sheet, 0, at}, (kept + piece() - 1) / piece(), vectors_, lanes_, kept, chunks};
    }
    return to;
  }

  // As many lines in each block, whole vectors: the last of each go back over their neighbours. A line of less than a vector is
  // reached over.
  LineBlock* add_lines(i64 sheet, i64 lines, i64 columns, const Chunks& chunks, LineBlock* to) const {
    const i64 blocks = (lines + kMostLines - 1) / kMostLines, height = (lines + blocks - 1) / blocks;
    const i64 last = columns > lanes_ ? columns - lanes_ : 0;
    for (i64 block = 0; block < blocks; ++block) {
      const i64 line = block * height < lines - height ? block * height : lines - height;
      for (i64 at = 0; at < columns;) {
        const i64 first = at < last ? at : last, vectors = first < last ? kLineVectors : 1;
        const i64 apart = vectors == 2 && last - first < lanes_ ? last - first : lanes_;
        const i64 end = first + (vectors - 1) * apart + lanes_;
        at = end < columns ? end : columns;
        *to++ = {{sheet, line, first}, height, vectors, apart, at - first, chunks};
      }
    }
    return to;
  }

  bool pieces_;
  i64 lanes_, vectors_, most_;
};

// Whether what not all taps of a block read, before the lines that they do and after them, is inside.
struct Edges {
  bool top, bottom;
};

// Whether a phase's taps are one column, and where its first position reads the first of it.
inline bool is_one_column(const Phase& phase, i64& from) {
  if (phase.across != 1 || phase.taps < 1 || phase.taps > kMostChunk) return false;
  const i64 first = phase.from[0], last = phase.from[phase.taps - 1];
  from = first < last ? first : last;
  return first + last - 2 * from == phase.taps - 1;
}

// Whether all weights of some wires are numbers, and not infinite: then those that meet zeros around a sample add nothing.
template <class T>
bool are_finite(const cv_problem& p, const T* weight, const Wires& wires, Range some) {
  const auto& [x, y, z] = p.axes;
  bool odd = false;
  for (i64 wire = some.begin; wire < some.end; ++wire)
    for (i64 r = 0; r < kernels_of(p); ++r) {
      const T* const kernel = weight + wires.weight(wire) + r / (y.tile * z.tile) * x.tile_step +
                              r / z.tile % y.tile * y.tile_step + r % z.tile * z.tile_step;
      for (i64 i = 0; i < x.kernel; ++i)
        for (i64 j = 0; j < y.kernel; ++j)
          for (i64 k = 0; k < z.kernel; ++k) odd |= kernel[i * x.tap_step + j * y.tap_step + k * z.tap_step] * 0 != 0;
    }
  return !odd;
}

template <class S>
int correlate_lines(const cv_problem& asked, bool back, const cv_tensor& asked_from, const void* weight,
                    const cv_tensor& asked_to, int threads) {
  using T = Computed<S>;
  const bool folds = folds_lines<T>(asked, back);
  const cv_problem given = folds ? downwards(asked) : asked;
  const cv_tensor from = folds ? downwards(asked_from) : asked_from, to = folds ? downwards(asked_to) : asked_to;
  constexpr i64 V = Lanes<T>::kVector, kBlock = kMostLines * kLineVectors * V;
  const auto read_size = back ? &cv_axis::output : &cv_axis::size;
  const i64 sizes[3] = {given.axes[0].*read_size, given.axes[1].*read_size, given.axes[2].*read_size};
  const i64 read_channels = back ? given.out_channels : given.in_channels;
  const i64 write_channels = back ? given.in_channels : given.out_channels;
  const Packed<S> packed(given, weight, threads);
  if (!packed) return CV_NO_MEMORY;
  const cv_problem& p = packed.problem();
  const LineMap<T> map(p, back, read_channels, kBlock, folds);
  const Wires wires(p, back);
  if (!map || !wires) return CV_NO_MEMORY;
  const Direction(&directions)[3] = map.directions;
  const LineParts& parts = map.parts;
  const bool pieces = map.pieces;
  const i64 lanes = map.lanes, segment = map.segment;
  const i64(&positions)[3] = parts.positions, most[3] = {positions[0], folds ? segment : positions[1], folds ? V : positions[2]};
  const LineBlocks blocks(most, pieces, lanes);
  const i64 room[3] = {most[0], most[1], blocks.room(most[2])};
  const Planes planes(read_channels, sizes, from.strides, map.reach, positions, room, V, segment);
  const LineTaps taps(directions, planes, pieces ? 1 : kMostChunk);
  const i64 own = planes.values() + kBlock;
  const WirePlaces places(wires, planes.channel());
  Buffer<T> scratches(own * threads);
  Buffer<LineBlock> all_blocks(blocks.most() * threads);
  Buffer<bool> odd(threads);
  if (!taps || !places || !scratches || !all_blocks || !odd) return CV_NO_MEMORY;
  for (int worker = 0; worker < threads; ++worker) odd.get()[worker] = false;

  const i64 pitch = pieces ? blocks.piece() : planes.pitch(), step = directions[2].phase(0).step * to.strides[4];
  const i64 line_step = pieces ? blocks.piece() * step : directions[1].phase(0).step * to.strides[3];
  const i64 samples = p.batch * parts.all();
  const i64 shares = parts_of_each(samples, write_channels, threads);  // of the channels
  parallel(threads, [&](int worker, int workers) {
    odd.get()[worker] = !are_finite(p, packed.weight(), wires, share(wires.count(), worker, workers));
    if (odd.get()[worker]) return;
    LineBlock* const own_blocks = all_blocks.get() + blocks.most() * worker;
    T *const near = scratches.get() + own * worker, *const apart = near + planes.values();

    // What a block of a channel reads, computed and put into its place; of so many positions in the second direction.
    const auto write = [&](i64 row, const LineBlock& block, Edges edges, i64 count, S* out) {
      const i64 width = (block.vectors - 1) * block.apart + lanes;
      const bool whole = block.columns == (pieces ? block.lines * width : width);
      const T* const x = near + block.q[0] * planes.sheet() + block.q[1] * planes.pitch() + block.q[2];
      Lines<T> lines{wires.end(row) - wires.begin(row),
                     wires.weights() + wires.begin(row),
                     places.get() + wires.begin(row),
                     &block.chunks,
                     taps.weight(),
                     taps.from(),
                     packed.weight(),
                     x,
                     pitch,
                     block.apart,
                     apart,
                     width,
                     edges.top,
                     edges.bottom};
      if constexpr (!kIsHalf<S>)
        if (whole && step == 1 && !folds) {
          lines.out = out;
          lines.out_pitch = line_step;
          return multiply_lines<T>(lanes, block.vectors, block.lines, lines);
        }
      multiply_lines<T>(lanes, block.vectors, block.lines, lines);
      if (folds) return unfold(apart, block.q[1], block.lines, segment, count, out, line_step);
      for (i64 line = 0; line < block.lines; ++line) {
        const i64 left = pieces ? block.columns - line * width : block.columns, kept = left < width ? left : width;
        const T* const computed = apart + line * width;
        S* const to_line = out + line * line_step;
        if (step == 1) narrow_row(computed, kept, to_line);
        else
          for (i64 i = 0; i < kept; ++i) to_line[i * step] = narrow<S>(computed[i]);
      }
    };

    const Range mine = share(samples * shares, worker, workers);
    for (i64 unit = mine.begin, filled = -1; unit < mine.end; ++unit) {
      const i64 sample = unit / shares, b = sample / parts.all();
      const Range rows = share(write_channels, static_cast<int>(unit % shares), static_cast<int>(shares));
      i64 begin[3];
      parts.begin(sample % parts.all(), begin);
      if (filled != sample) planes.fill(static_cast<const S*>(from.data) + b * from.strides[0], {0, read_channels}, begin, near);
      filled = sample;
      Ahead next;  // a sample that is whole, and all this thread's
      if (samples == p.batch && shares == 1 && unit + 1 < mine.end)
        next = planes.ahead(static_cast<const S*>(from.data) + (b + 1) * from.strides[0], write_channels);
      each_phase(directions, [&](i64 k0, i64 k1, i64 k2) {
        const Phase* const phase[3] = {&directions[0].phase(k0), &directions[1].phase(k1), &directions[2].phase(k2)};
        i64 n[3], place = b * to.strides[0];
        for (int d = 0; d < 3; ++d) {
          n[d] = phase[d]->count - begin[d] < positions[d] ? phase[d]->count - begin[d] : positions[d];
          if (n[d] <= 0) return;
          place += (phase[d]->first + begin[d] * phase[d]->step) * to.strides[2 + d];
        }
        const auto chunks_of = [&](i64 sheet) {
          return taps.meeting(taps.of(k0, k1, k2), *phase[0], begin[0] + sheet, sizes[0]);
        };
        const i64 lines[3] = {n[0], folds ? segment : n[1], folds ? V : n[2]};
        const LineBlock* const end = blocks.cut(lines, chunks_of, own_blocks);
        i64 column = 0;
        const bool cuts = !folds && !pieces && is_one_column(*phase[1], column);
        const auto edges = [&](const LineBlock& block) {
          const i64 first = begin[1] + block.q[1] + column, others = phase[1]->taps - 1;
          return Edges{!cuts || first + others > 0, !cuts || first + block.lines < sizes[1]};
        };
        for (i64 row = rows.begin; row < rows.end; ++row) {
          next.step();
          for (const LineBlock* block = own_blocks; block < end; ++block) {
            i64 at = place + row * to.strides[1];
            for (int d = 0; d < 3; ++d) at += block->q[d] * phase[d]->step * to.strides[2 + d];
            write(row, *block, edges(*block), n[1], static_cast<S*>(to.data) + at);
          }
        }
      });
    }
  });
  for (int worker = 0; worker < threads; ++worker)
    if (odd.get()[worker]) return kNotFinite;
  return CV_OK;
}

}  // namespace cv::CV_ISA
