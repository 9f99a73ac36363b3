// The way along the lines: where positions share a kernel, vectors run along the lines of a sample in its own layout. Nothing is
// turned over, and a part of a sample stays in a core's second cache until all that reads it is computed; so little is read and
// written beside operands and results that channel graphs of few edges cost little. Taps in the padding are multiplied too, with
// zeros: right unless a number is infinite or none; then the problem is computed another way.
#pragma once

#include "lines_kernel.hpp"
#include "maps.hpp"
#include "packed.hpp"
#include "planes.hpp"
#include "units.hpp"

namespace cv::CV_ISA {

constexpr i64 kGroupSums = 8 << 20;  // bytes that the sums of weights may take
constexpr i64 kPart = 384 * 1024;    // bytes of a sample's planes that stay in a core's second cache

// A map's three directions, what is read in each, and in how many positions a part of a sample is cut.
struct LineParts {
  i64 count[3];      // positions of a phase, at most
  i64 positions[3];  // of a part
  i64 parts[3];

  i64 all() const { return parts[0] * parts[1] * parts[2]; }

  // The first position of a part, and how many of `count` it has in each direction.
  void begin(i64 part, i64 (&begin)[3]) const {
    for (int d = 2; d >= 0; part /= parts[d--]) begin[d] = part % parts[d] * positions[d];
  }
};

// Lanes of the vectors that suit so many columns.
template <class T>
i64 line_lanes(i64 columns) {
  return columns <= Lanes<T>::kLeast ? Lanes<T>::kLeast : Lanes<T>::kVector;
}

// What there is in a direction of a map: positions of a phase, and phases.
inline i64 phases_in(const cv_axis& axis, bool back) { return axis.tile * (back ? axis.stride : 1); }
inline i64 positions_in(const cv_axis& axis, bool back) {
  return ((back ? axis.size : axis.output) + phases_in(axis, back) - 1) / phases_in(axis, back);
}

// Whether so many percent of the lanes of lines are positions.
template <class T>
bool lines_fill(const cv_problem& p, bool back, i64 percent) {
  const i64 columns = positions_in(p.axes[2], back), lanes = line_lanes<T>(columns);
  return columns * 100 >= (columns + lanes - 1) / lanes * lanes * percent;
}

// Whether what is held is little: tables by edge and by tap, and of planes the least part, whatever the number of threads.
template <class T>
bool lines_hold_little(const cv_problem& p, bool back, i64 channels) {
  constexpr i64 kEdges = 200'000, kPhases = 64, kLeastPart = 2 << 20, kThreads = 16;
  i64 phases = 1, part = channels * static_cast<i64>(sizeof(T)), windows = p.in_channels * p.batch * static_cast<i64>(sizeof(T));
  const i64 least[3] = {1, kMostLines, kMostLines * kLineVectors * Lanes<T>::kVector};
  for (int d = 0; d < 3; ++d) {
    const cv_axis& axis = p.axes[d];
    const i64 reach = (axis.kernel - 1) * (axis.dilation < 0 ? -axis.dilation : axis.dilation), count = positions_in(axis, back);
    const i64 across = axis.tile * (back ? 1 : axis.stride), apart = axis.tile * axis.stride;
    phases *= phases_in(axis, back);
    part *= (count < least[d] ? count : least[d]) * across + (reach + apart) / (back ? axis.stride : 1) + across;
    windows *= axis.kernel * axis.output;
  }
  const i64 allowed = windows / 12 / kThreads > kLeastPart ? windows / 12 / kThreads : kLeastPart;
  return count_of_edges(p) <= kEdges && phases <= kPhases && part <= allowed;
}

// Whether a column of the kernel has so many taps that read neighbouring lines.
inline bool taps_share_lines(const cv_problem& p, i64 taps) {
  const cv_axis& lines = p.axes[1];
  return lines.output > 1 && lines.kernel >= taps && lines.stride * lines.tile == 1 && lines.dilation * lines.dilation == 1;
}

// Positions and samples that share a weight.
inline i64 uses_of_weights(const cv_problem& p) { return outputs_of(p) / kernels_of(p) * p.batch; }

// Whether lines are alone, and so long and with so many products to what is read and written that they are worth folding; a test
// asks for them whatever they are worth.
template <class T>
bool folds_lines(const cv_problem& p, bool back) {
  constexpr i64 kWorth = 24;
  const cv_axis &alone = p.axes[1], &line = p.axes[2];
  if (alone.size != 1 || alone.output != 1 || alone.kernel != 1 || line.dilation * line.dilation != 1) return false;
  if (line.kernel < 2 * line.stride * line.tile) return false;  // a row serves several taps
  return p.way & CV_LINES || (positions_in(line, back) >= 8 * Lanes<T>::kVector &&
                              count_of_edges(p) * line.kernel / line.stride >= kWorth * (p.in_channels + p.out_channels));
}

// forward and grad_input: against samples side by side, which have to be turned over first and fill vectors only where they are
// many.
template <class T>
bool goes_along_lines(const cv_problem& p, bool back) {
  if (!lines_hold_little<T>(p, back, back ? p.out_channels : p.in_channels)) return false;
  const i64 apart = phases_in(p.axes[2], back);  // results of a line, which then are written one by one
  if (are_small(p)) return lines_fill<T>(p, back, 60) && (p.axes[2].tile == 1 || p.batch < 16);
  if (uses_of_weights(p) < 64 || !lines_fill<T>(p, back, 80)) return false;
  const i64 few = kShort && p.batch >= 16 ? 8 : 32;  // outputs; shorter vectors along a line are more
  return p.batch <= 2 || (apart == 1 && (most_outputs(p) <= few || (taps_share_lines(p, 2) && p.batch < 16)));
}

// grad_weight: there, samples side by side let several outputs share what is read.
template <class T>
bool sums_along_lines(const cv_problem& p) {
  if (are_large(p) || (!are_small(p) && p.axes[2].tile > 1)) return false;
  const i64 weights = count_of_edges(p) * kernels_of(p) * taps_of(p);
  if (!lines_hold_little<T>(p, false, p.in_channels + p.out_channels) || weights * static_cast<i64>(sizeof(T)) > kGroupSums)
    return false;
  const i64 of_plane = positions_in(p.axes[1], false) * positions_in(p.axes[2], false) / Lanes<T>::kVector;
  if (count_of_edges(p) <= 2 * p.in_channels) return lines_fill<T>(p, false, 60);
  if (lanes_of<T>(p.batch) >= 2 * p.batch) return lines_fill<T>(p, false, 60) && uses_of_weights(p) >= 64;
  // Of many samples shorter vectors, which more lines are needed for, are faster as vectors of samples.
  return !kShort && lines_fill<T>(p, false, 85) && taps_share_lines(p, 3) && of_plane >= 40 && p.batch >= 16;
}

// Cut so that planes of so many channels stay near.
template <class T>
LineParts line_parts(i64 channels, const Direction (&directions)[3], const Reach (&reach)[3], i64 least_lines, i64 least_columns,
                     bool small) {
  LineParts parts;
  i64 all = channels * static_cast<i64>(sizeof(T));
  for (int d = 0; d < 3; ++d) {
    parts.count[d] = directions[d].phase(0).count;
    parts.positions[d] = parts.count[d];
    all *= (parts.count[d] + reach[d].high - reach[d].low) * reach[d].across;
  }
  const i64 most = small ? 1 : kPart, least[3] = {1, small ? 1 : least_lines, small ? 1 : least_columns};
  for (int d = 0; d < 3; ++d) {
    const i64 around = reach[d].high - reach[d].low, each = all / (parts.count[d] + around);
    if (all > most && parts.count[d] > least[d]) {
      const i64 fit = most / (each ? each : 1) - around, wanted = fit > least[d] ? fit : least[d];
      const i64 pieces = (parts.count[d] + wanted - 1) / wanted;
      parts.positions[d] = (parts.count[d] + pieces - 1) / pieces;
    }
    parts.parts[d] = (parts.count[d] + parts.positions[d] - 1) / parts.positions[d];
    all = each * (parts.positions[d] + around);
  }
  return parts;
}

// What both kinds of maps begin with: directions without runs, what each reads, and parts that planes of so many channels stay
// near in.
template <class T>
class LineMap {
 public:
  LineMap(const cv_problem& p, bool back, i64 channels, i64 least_columns, bool folds)
      : directions{Direction(p.axes[0], back, 0, true), Direction(p.axes[1], back, 0, true),
                   Direction(p.axes[2], back, 0, true)} {
    if (!*this) return;
    for (int d = 0; d < 3; ++d) reach[d] = reach_of(directions[d]);
    constexpr i64 V = Lanes<T>::kVector;
    parts = line_parts<T>(channels, directions, reach, folds ? least_columns : kMostLines, least_columns, p.way & CV_IN_SLABS);
    pieces = parts.count[1] == 1 && !folds;
    lanes = folds ? V : line_lanes<T>(parts.positions[2]);
    segment = folds ? (parts.positions[1] + V - 1) / V : 0;
  }
  explicit operator bool() const { return directions[0] && directions[1] && directions[2]; }

  const Direction directions[3];
  Reach reach[3];
  LineParts parts;
  bool pieces;  // lines are pieces of the last direction, because there is but one of each phase
  i64 lanes;
  i64 segment;  // of a folded line, in each lane; 0: it is not
};

template <class F>
void each_phase(const Direction (&d)[3], F body) {
  for (i64 k0 = 0; k0 < d[0].phases(); ++k0)
    for (i64 k1 = 0; k1 < d[1].phases(); ++k1)
      for (i64 k2 = 0; k2 < d[2].phases(); ++k2) body(k0, k1, k2);
}

// The chunks of taps, of no more than `most`, for each triple of phases, and where in a channel's planes they read.
class LineTaps {
 public:
  LineTaps(const Direction (&d)[3], const Planes& planes, i64 most)
      : most_(most),
        phases1_(d[1].phases()),
        phases2_(d[2].phases()),
        taps_(all_taps(d[0]) * all_taps(d[1]) * all_taps(d[2])),
        chunks_(d[0].phases() * phases1_ * phases2_),
        order_(all_taps(d[1])),
        columns_(all_taps(d[1])),
        from_(taps_),
        weight_(kMostChunk * taps_),
        number_(taps_) {
    if (!*this) return;
    i64 at = 0, number = 0;
    Chunks* chunks = chunks_.get();
    each_phase(d, [&](i64 k0, i64 k1, i64 k2) {
      const Phase &p0 = d[0].phase(k0), &p1 = d[1].phase(k1), &p2 = d[2].phase(k2);
      const i64 count = find_columns(p1);
      for (int taps = 1; taps <= kMostChunk; chunks->end[taps++ - 1] = at) {
        chunks->begin[taps - 1] = at;
        for (i64 a = 0; a < p0.taps; ++a)
          for (i64 c = 0; c < p2.taps; ++c)
            for (i64 k = 0; k < count; ++k) {
              const Column& column = columns_.get()[k];
              if (column.length != taps) continue;
              from_.get()[at] = planes.at(p0.from[a], p1.from[column.taps[0]], p2.from[c]);
              for (i64 m = 0; m < taps; ++m)
                weight_.get()[at * kMostChunk + m] = p0.weight[a] + p1.weight[column.taps[m]] + p2.weight[c];
              number_.get()[at++] = number;
              number += taps;
            }
      }
      ++chunks;
    });
  }
  explicit operator bool() const { return chunks_ && order_ && columns_ && from_ && weight_ && number_; }

  i64 taps() const { return taps_; }  // of all phases
  const Chunks& of(i64 k0, i64 k1, i64 k2) const { return chunks_.get()[(k0 * phases1_ + k1) * phases2_ + k2]; }
  // Those that, in the first direction, meet what position q of a phase reads of so many sheets.
  Chunks meeting(const Chunks& chunks, const Phase& sheets, i64 q, i64 size) const {
    i64 low = 0, high = sheets.taps;
    const auto inside = [&](i64 tap) {
      return sheets.from[tap] + q * sheets.across >= 0 && sheets.from[tap] + q * sheets.across < size;
    };
    while (low < high && !inside(low)) ++low;
    while (high > low && !inside(high - 1)) --high;
    Chunks met = chunks;
    for (int m = 0; m < kMostChunk && sheets.taps; ++m) {
      const i64 each = (chunks.end[m] - chunks.begin[m]) / sheets.taps;  // of a tap in the first direction
      met.begin[m] = chunks.begin[m] + low * each;
      met.end[m] = chunks.begin[m] + high * each;
    }
    return met;
  }
  const i64* from() const { return from_.get(); }
  const i64* weight() const { return weight_.get(); }
  i64 number(i64 chunk) const { return number_.get()[chunk]; }  // of its first tap, among those of all phases

 private:
  // Taps that read neighbouring lines of one plane.
  struct Column {
    const i64* taps;
    i64 length;
  };

  static i64 all_taps(const Direction& direction) {
    i64 all = 0;
    for (i64 k = 0; k < direction.phases(); ++k) all += direction.phase(k).taps;
    return all;
  }

  i64 find_columns(const Phase& phase) {
    i64 *const order = order_.get(), n = phase.taps, sorted = 0, count = 0;
    const bool back = n > 1 && phase.from[1] < phase.from[0];
    for (i64 plane = 0; plane < phase.across; ++plane)
      for (i64 i = 0; i < n; ++i) {
        const i64 tap = back ? n - 1 - i : i;
        if (phase.from[tap] - floor_div(phase.from[tap], phase.across) * phase.across == plane) order[sorted++] = tap;
      }
    for (i64 begin = 0, end; begin < n; begin = end) {
      for (end = begin + 1; end < n && phase.from[order[end]] == phase.from[order[end - 1]] + phase.across;) ++end;
      const i64 pieces = (end - begin + most_ - 1) / most_;
      for (i64 piece = 0; piece < pieces; ++piece) {
        const i64 first = begin + (end - begin) * piece / pieces;
        columns_.get()[count++] = {order + first, begin + (end - begin) * (piece + 1) / pieces - first};
      }
    }
    return count;
  }

  i64 most_, phases1_, phases2_, taps_;
  Buffer<Chunks> chunks_;
  Buffer<i64> order_;
  Buffer<Column> columns_;
  Buffer<i64> from_, weight_, number_;
};

}  // namespace cv::CV_ISA
