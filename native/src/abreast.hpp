// grad_weight where each position has a kernel of its own and few outputs read alike, with the positions of a line abreast: a
// vector holds one tap of many positions, so that sums over samples are no sums over lanes. Some outputs and taps are summed up
// at once in registers, and turned over when their weights, which lie position by position, are written.
#pragma once

#include <cstdlib>

#include "phases.hpp"
#include "pieces.hpp"
#include "transpose.hpp"
#include "units.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr int kOutputsAbreast = 3, kTapsInRow = 3, kRowsAbreast = kManyRegisters ? 3 : 1;
constexpr i64 kPiecePositions = 48;  // at most, so that what all samples read for them stays near

// Rows of taps that read neighbouring columns, as many in each row.
struct TapRows {
  int rows, taps;
  i64 line[kRowsAbreast], column[kRowsAbreast];  // where the first tap of a row reads
  i64 tap[kRowsAbreast];                         // its number
};

// sums[output][tap] = the sum over samples of  g[output] * x[row][tap], for a vector of positions
template <class T, int O, int R, int K>
void sum_abreast(i64 samples, const T* const* g, i64 g_width, const T* const* x, i64 x_width, T* const* sums, i64 next) {
  constexpr int V = Lanes<T>::kVector;
  using Vec = typename Vector<T, V>::type;
  const T *gs[O], *xs[R];
#pragma GCC unroll 16
  for (int o = 0; o < O; ++o) gs[o] = g[o];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) xs[r] = x[r];
  Vec sum[O][R][K];
#pragma GCC unroll 16
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int k = 0; k < K; ++k) sum[o][r][k] = Vec{};
  i64 at = 0, x_at = 0;
  for (i64 b = 0; b < samples; ++b, at += g_width, x_at += x_width) {
    Vec one[O];
#pragma GCC unroll 16
    for (int o = 0; o < O; ++o) hold(one[o] = load<T, V>(gs[o] + at));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int k = 0; k < K; ++k) {
        Vec read;
        hold(read = load<T, V>(xs[r] + x_at + k));
#pragma GCC unroll 16
        for (int o = 0; o < O; ++o) sum[o][r][k] += one[o] * read;
      }
  }
#pragma GCC unroll 16
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
      for (int k = 0; k < K; ++k) store<T, V>(sums[r] + o * next + k * V, sum[o][r][k]);
}

template <class T, int... I>
void sum_abreast(int outputs, const TapRows& rows, i64 samples, const T* const* g, i64 g_width, const T* const* x, i64 x_width,
                 T* const* sums, i64 next, std::integer_sequence<int, I...>) {
  using Sum = void(i64, const T* const*, i64, const T* const*, i64, T* const*, i64);
  static constexpr Sum* table[] = {
      sum_abreast<T, I / (kRowsAbreast * kTapsInRow) + 1, I / kTapsInRow % kRowsAbreast + 1, I % kTapsInRow + 1>...};
  table[((outputs - 1) * kRowsAbreast + rows.rows - 1) * kTapsInRow + rows.taps - 1](samples, g, g_width, x, x_width, sums, next);
}

// The taps of the last direction in the order of the columns that they read.
class InColumns {
 public:
  explicit InColumns(const Phase& phase) : phase_(phase), back_(phase.from[phase.taps - 1] < phase.from[0]) {}
  i64 from(i64 number) const { return phase_.from[at(number)]; }
  i64 weight(i64 number) const { return phase_.weight[at(number)]; }
  i64 count() const { return phase_.taps; }
  i64 reach() const { return from(count() - 1) - from(0); }

 private:
  i64 at(i64 number) const { return back_ ? phase_.taps - 1 - number : number; }

  const Phase& phase_;
  bool back_;
};

// All rows of the taps that meet the input at a line, which r0 and r1 are the positions of; and how many.
inline i64 find_rows(const cv_problem& p, const Run& r0, const Run& r1, const InColumns& last, TapRows* rows) {
  const Phase &p0 = *r0.phase, &p1 = *r1.phase;
  i64 count = 0;
  for (i64 c = 0, taps; c < last.count(); c += taps) {
    i64 end = c + 1;
    while (end < last.count() && last.from(end) == last.from(end - 1) + 1) ++end;
    taps = next_part(end - c, kTapsInRow);
    TapRows* some = nullptr;
    for (i64 a = r0.low; a < r0.high; ++a)
      for (i64 b = r1.low; b < r1.high; ++b) {
        if (!some || some->rows == kRowsAbreast) {
          some = &rows[count++];
          some->rows = 0;
          some->taps = static_cast<int>(taps);
        }
        some->line[some->rows] = (p0.from[a] + r0.begin * p0.across) * p.axes[1].size + p1.from[b] + r1.begin * p1.across;
        some->column[some->rows] = last.from(c) - last.from(0);
        some->tap[some->rows++] = (a * p1.taps + b) * last.count() + c;
      }
  }
  return count;
}

// Whether lines fill vectors, are read without gaps, and pieces of them do not read much more than they have; where many samples
// make up for turning sums over, only if windows have many readers, and vectors are wide.
template <class T>
bool goes_abreast(const cv_problem& p) {
  constexpr i64 V = Lanes<T>::kVector, kMany = 16, kReaders = 4, kTaps = 3;
  const i64 positions = p.axes[2].output, lanes = (positions + V - 1) / V * V;
  if (p.axes[2].stride != 1 || 2 * positions < V || (p.axes[2].kernel - 1) * std::abs(p.axes[2].dilation) > kPiecePositions)
    return false;
  return p.batch <= kMany ||
         (!kShort && 10 * positions >= 7 * lanes && taps_of(p) >= kTaps && count_of_edges(p) >= kReaders * p.in_channels);
}

template <class S>
int sum_own_abreast(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  constexpr i64 V = Lanes<T>::kVector;
  const i64 taps = taps_of(p), most = (kOutputsAbreast * taps + V - 1) / V * V;  // rows of sums
  const Direction d0(p.axes[0], false, 1), d1(p.axes[1], false, 1), d2(p.axes[2], false, 0);
  const Wires wires(p, true);
  if (!d0 || !d1 || !d2 || !wires) return CV_NO_MEMORY;
  const Phase& p2 = d2.phase(0);
  const InColumns last(p2);
  const i64 least = (p2.count + kPiecePositions - 1) / kPiecePositions;
  const i64 pieces = least * parts_of_each(d0.count() * d1.count() * least, (p2.count - 1) / (least * V) + 1, threads);
  const i64 across = (p2.count + pieces - 1) / pieces;
  Pieces<T> x(p.axes[0].size * p.axes[1].size, pieces, p.in_channels, p.batch, across + last.reach());
  Pieces<T> g(p.axes[0].output * p.axes[1].output, pieces, p.out_channels, p.batch, across);
  const WirePlaces outputs(wires, g.channel());
  const i64 own_values = 2 * most * V;
  Buffer<T> scratches(own_values * threads);
  Buffer<i64> tables(taps * threads);
  Buffer<TapRows> all_rows(taps * threads);
  if (!x || !g || !outputs || !scratches || !tables || !all_rows) return CV_NO_MEMORY;
  x.template fill<S>(input, {p.axes[0].size, p.axes[1].size, p.axes[2].size}, last.from(0), across, threads);
  g.template fill<S>(grad_output, {p.axes[0].output, p.axes[1].output, p.axes[2].output}, 0, across, threads);

  parallel(threads, [&](int worker, int workers) {
    T *const sums = scratches.get() + own_values * worker, *const turned = sums + most * V;
    i64* const to = tables.get() + taps * worker;
    TapRows* const rows = all_rows.get() + taps * worker;
    const Range mine = share(d0.count() * d1.count() * pieces, worker, workers);
    for (i64 unit = mine.begin; unit < mine.end; ++unit) {
      const i64 piece = unit % pieces;
      const Run& r1 = d1.begin()[unit / pieces % d1.count()];
      const Run& r0 = d0.begin()[unit / pieces / d1.count()];
      const Phase &p0 = *r0.phase, &p1 = *r1.phase;
      const i64 first = piece * across, count = p2.count - first < across ? p2.count - first : across;
      const i64 n_rows = find_rows(p, r0, r1, last, rows);
      __builtin_memset(sums, 0, most * V * sizeof(T));  // those of taps that do not meet the input
      i64 number = 0;
      for (i64 a = 0; a < p0.taps; ++a)
        for (i64 b = 0; b < p1.taps; ++b)
          for (i64 c = 0; c < last.count(); ++c) to[number++] = p0.weight[a] + p1.weight[b] + last.weight(c);
      bool side_by_side = !p.add;
      for (i64 k = 1; k < taps; ++k) side_by_side = side_by_side && to[k] == to[0] + k;
      const T* const gradient = g.at(r0.begin * p.axes[1].output + r1.begin, piece);
      S* const kernel = static_cast<S*>(grad_weight) + r0.begin * p0.weights + r1.begin * p1.weights + first * p2.weights;

      // Whether, of so many positions, a tap is in the padding: then it is no sum, not even of what is no number.
      const auto reads = [&](i64 c, i64 q) {
        const i64 at = last.from(c) + q * p2.across;
        return at >= 0 && at < p.axes[2].size;
      };
      const auto is_cut = [&](i64 begin, i64 end) { return !reads(0, begin) || !reads(last.count() - 1, end - 1); };
      const auto clear = [&](i64 outputs, i64 begin) {
        for (i64 c = 0; c < last.count(); ++c)
          for (i64 q = 0; q < V; ++q)
            if (!reads(c, begin + q))
              for (i64 o = 0; o < outputs; ++o)
                for (i64 k = c; k < taps; k += last.count()) sums[(o * taps + k) * V + q] = 0;
      };
      const auto put = [&](const T* found, i64 pitch, S* weights, i64 done, i64 end) {
        for (i64 q = done; q < end; ++q) {
          S* const here = weights + q * p2.weights;
          const T* const column = found + q * pitch;
          if constexpr (!kIsHalf<S>) {
            if (side_by_side) {
              copy_few(column, taps, here + to[0]);
              continue;
            }
          }
          for (i64 k = 0; k < taps; ++k) here[to[k]] = narrow<S>(p.add ? widen(here[to[k]]) + column[k] : column[k]);
        }
      };

      for (i64 channel = 0; channel < p.in_channels; ++channel)
        for (i64 wire = wires.begin(channel), some; wire < wires.end(channel); wire += some) {
          some = next_part(wires.end(channel) - wire, kOutputsAbreast);
          for (i64 i = 0; i < some; ++i)
            for (i64 k = 0; k < count * taps; k += 64 / sizeof(S))
              __builtin_prefetch(kernel + wires.weight(wire + i) + to[0] + k, 1, 3);
          for (i64 q = 0; q < count; q += V) {
            const i64 begin = q + V <= count ? q : count > V ? count - V : 0;  // the last one ends where the piece does
            const T* gs[kOutputsAbreast];
            for (i64 i = 0; i < some; ++i) gs[i] = gradient + outputs.get()[wire + i] + begin;
            for (i64 n = 0; n < n_rows; ++n) {
              const TapRows& row = rows[n];
              const T* xs[kRowsAbreast];
              T* found[kRowsAbreast];
              for (int r = 0; r < row.rows; ++r) {
                xs[r] = x.at(row.line[r], piece) + channel * x.channel() + row.column[r] + begin;
                found[r] = sums + row.tap[r] * V;
              }
              sum_abreast<T>(static_cast<int>(some), row, p.batch, gs, g.columns(), xs, x.columns(), found, taps * V,
                             std::make_integer_sequence<int, kOutputsAbreast * kRowsAbreast * kTapsInRow>{});
            }
            if (const i64 at = first + begin; is_cut(at, at + V)) clear(some, at);
            const i64 pitch = (some * taps + V - 1) / V * V, end = count - begin < V ? count - begin : V;
            for (i64 k = 0; k < some * taps; k += V)
              turn_rows<V>([&](int r) { return load<T, V>(sums + (k + r) * V); }, V, turned + k, pitch);
            for (i64 i = 0; i < some; ++i)
              put(turned + i * taps, pitch, kernel + wires.weight(wire + i) + begin * p2.weights, q - begin, end);
          }
        }
    }
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
