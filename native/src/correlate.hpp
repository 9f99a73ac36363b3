// forward and grad_input where every written channel reads channels of its own, so that no rows share a window: neighbouring
// positions are worked on at once. Where they share a kernel, a weight is multiplied with vectors of all of them; where each has
// its own, their weights lie near each other. Both maps are one: a channel of what is written sums, over its wires and taps,
// weights times what is read.
#pragma once

#include "layout.hpp"
#include "packed.hpp"
#include "phases.hpp"
#include "units.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr int kMostAcross = 10;         // positions that a row is multiplied for at once
constexpr int kMostOwn = 4;             // and where each has its own kernel
constexpr i64 kProducts = 24;           // of a row that are worth beginning for, about
constexpr i64 kNearCache = 128 * 1024;  // bytes of a core's second cache for what is read

// out[v * out_across] (+)= sum over wires and taps of  weight[wire + tap + v * weight_across] * x[wire + tap + v * across]
template <class T>
struct Row {
  i64 wires;
  const i64 *wire_weight, *wire_from;
  i64 taps;
  const i64 *tap_weight, *tap_from;
  const T* weight;
  i64 weight_across;
  i64 line;  // taps whose weights lie near each other
  i64 run;   // taps that follow each other as positions do, backwards where negative; 0: they do not
  const T* x;
  i64 across;
  T* out;
  i64 out_across;
  bool add;
};

template <class T, int V, int NV>
void multiply_row(const Row<T>& row) {
  using Vec = typename Vector<T, V>::type;
  constexpr int kChains = NV < 4 ? 4 / NV : 1;  // a sum alone would wait for each of its additions
  const i64 one = row.across, two = 2 * row.across, three = 3 * row.across, four = 4 * row.across;
  Vec sum[kChains][NV];
  for (int chain = 0; chain < kChains; ++chain)
    for (int v = 0; v < NV; ++v) sum[chain][v] = Vec{};
  const i64 *const tap_weight = row.tap_weight, *const tap_from = row.tap_from;
  for (i64 wire = 0; wire < row.wires; ++wire) {
    const T* const weight = row.weight + row.wire_weight[wire];
    const T* const from = row.x + row.wire_from[wire];
    const auto add = [&](i64 tap, Vec(&to)[NV]) {
      const T w = weight[tap_weight[tap]];
      const T* x = from + tap_from[tap];
      for (int v = 0; v < NV; v += 4, x += four) {
        to[v] += w * load<T, V>(x);
        if (v + 1 < NV) to[v + 1] += w * load<T, V>(x + one);
        if (v + 2 < NV) to[v + 2] += w * load<T, V>(x + two);
        if (v + 3 < NV) to[v + 3] += w * load<T, V>(x + three);
      }
    };
    i64 tap = 0;
    for (; tap + kChains <= row.taps; tap += kChains)
      for (int chain = 0; chain < kChains; ++chain) add(tap + chain, sum[chain]);
    if constexpr (kChains > 1)
      for (int chain = 0; tap < row.taps; ++chain, ++tap) add(tap, sum[chain]);
  }
  for (int v = 0; v < NV; ++v) {
    for (int chain = 1; chain < kChains; ++chain) sum[0][v] += sum[chain][v];
    T* const out = row.out + v * row.out_across;
    store<T, V>(out, row.add ? load<T, V>(out) + sum[0][v] : sum[0][v]);
  }
}

template <class T, int V, int... NV>
void multiply_row(i64 vectors, const Row<T>& row, std::integer_sequence<int, NV...>) {
  static constexpr void (*table[])(const Row<T>&) = {multiply_row<T, V, NV + 1>...};
  table[vectors - 1](row);
}

// The same for P positions of NV vectors of samples, where runs of L taps follow each other as positions do: what is read for one
// position serves the next one's next tap. `Own`: each position has its own kernel.
template <class T, int V, int NV, int P, int L, bool Own>
void multiply_runs(const Row<T>& row) {
  using Vec = typename Vector<T, V>::type;
  const i64 across = row.across, weight_across = Own ? row.weight_across : 0;
  const bool back = row.run < 0;
  Vec sum[P][NV];
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < NV; ++v) sum[p][v] = Vec{};
  for (i64 wire = 0; wire < row.wires; ++wire) {
    const T* const weight = row.weight + row.wire_weight[wire];
    const T* const from = row.x + row.wire_from[wire];
    if constexpr (Own)
      for (i64 tap = 0; tap < row.taps; tap += row.line)
        for (int p = 0; p < P; ++p) __builtin_prefetch(weight + row.tap_weight[tap] + (P + p) * weight_across, 0, 3);
    for (i64 tap = 0; tap < row.taps; tap += L) {
      const T* w[L];
      for (int m = 0; m < L; ++m) w[m] = weight + row.tap_weight[tap + (back ? L - 1 - m : m)];
      const T* x = from + row.tap_from[back ? tap + L - 1 : tap];
#pragma GCC unroll 16
      for (int c = 0; c < P + L - 1; ++c, x += across) {
        Vec xs[NV];
        for (int v = 0; v < NV; ++v) hold(xs[v] = load<T, V>(x + v * V));
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
          if (c - p >= 0 && c - p < L) {
            const T one = w[c - p][p * weight_across];
            for (int v = 0; v < NV; ++v) sum[p][v] += one * xs[v];
          }
      }
    }
  }
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < NV; ++v) {
      T* const out = row.out + p * row.out_across + v * V;
      store<T, V>(out, row.add ? load<T, V>(out) + sum[p][v] : sum[p][v]);
    }
}

template <class T, int V, int NV, int L, bool Own, int... P>
void multiply_runs(i64 positions, const Row<T>& row, std::integer_sequence<int, P...>) {
  static constexpr void (*table[])(const Row<T>&) = {multiply_runs<T, V, NV, P + 1, L, Own>...};
  table[positions - 1](row);
}

template <class T, int V, int NV, bool Own>
bool multiply_runs(i64 positions, const Row<T>& row) {
  constexpr auto all = std::make_integer_sequence<int, Own ? kMostOwn : kMostAcross>{};
  const i64 run = row.run < 0 ? -row.run : row.run;
  if (run == 3) multiply_runs<T, V, NV, 3, Own>(positions, row, all);
  else if (run == 5) multiply_runs<T, V, NV, 5, Own>(positions, row, all);
  return run == 3 || run == 5;
}

// The same for P positions whose kernels are their own, and NV vectors of samples.
template <class T, int V, int NV, int P>
void multiply_own(const Row<T>& row) {
  using Vec = typename Vector<T, V>::type;
  constexpr int kChains = P * NV < 4 ? 4 / (P * NV) : 1;
  Vec sum[kChains][P][NV];
  for (int chain = 0; chain < kChains; ++chain)
    for (int p = 0; p < P; ++p)
      for (int v = 0; v < NV; ++v) sum[chain][p][v] = Vec{};
  const i64 *const tap_weight = row.tap_weight, *const tap_from = row.tap_from;
  for (i64 wire = 0; wire < row.wires; ++wire) {
    const T* const weight = row.weight + row.wire_weight[wire];
    const T* const from = row.x + row.wire_from[wire];
    const auto add = [&](i64 tap, Vec(&to)[P][NV]) {
      const T *w = weight + tap_weight[tap], *x = from + tap_from[tap];
      for (int p = 0; p < P; ++p, w += row.weight_across, x += row.across)
        for (int v = 0; v < NV; ++v) to[p][v] += *w * load<T, V>(x + v * V);
    };
    for (i64 tap = 0; tap < row.taps; tap += row.line)
      for (int p = 0; p < P; ++p) __builtin_prefetch(weight + tap_weight[tap] + (P + p) * row.weight_across, 0, 3);
    i64 tap = 0;
    for (; tap + kChains <= row.taps; tap += kChains)
      for (int chain = 0; chain < kChains; ++chain) add(tap + chain, sum[chain]);
    if constexpr (kChains > 1)
      for (int chain = 0; tap < row.taps; ++chain, ++tap) add(tap, sum[chain]);
  }
  for (int p = 0; p < P; ++p)
    for (int v = 0; v < NV; ++v) {
      for (int chain = 1; chain < kChains; ++chain) sum[0][p][v] += sum[chain][p][v];
      T* const out = row.out + p * row.out_across + v * V;
      store<T, V>(out, row.add ? load<T, V>(out) + sum[0][p][v] : sum[0][p][v]);
    }
}

template <class T, int V, int NV>
void multiply_own(i64 positions, const Row<T>& row) {
  static_assert(kMostOwn == 4);
  if (multiply_runs<T, V, NV, true>(positions, row)) return;
  switch (positions) {
    case 1: return multiply_own<T, V, NV, 1>(row);
    case 2: return multiply_own<T, V, NV, 2>(row);
    case 3: return multiply_own<T, V, NV, 3>(row);
    case 4: return multiply_own<T, V, NV, 4>(row);
  }
}

// For so many samples and positions; more than a vector of samples only where positions have kernels of their own.
template <class T>
void multiply_row(bool own, int lanes, i64 positions, const Row<T>& row) {
  constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
  constexpr auto all = std::make_integer_sequence<int, kMostAcross>{};
  if (own) {
    if (lanes == 2 * V) multiply_own<T, V, 2>(positions, row);
    else if (lanes == V) multiply_own<T, V, 1>(positions, row);
    else multiply_own<T, H, 1>(positions, row);
  } else if (lanes == V) {
    if (!multiply_runs<T, V, 1, false>(positions, row)) multiply_row<T, V>(positions, row, all);
  } else {
    if (!multiply_runs<T, H, 1, false>(positions, row)) multiply_row<T, H>(positions, row, all);
  }
}

// Wires of a row that come from one group of channels, few enough that what is read of them stays near.
struct Segment {
  i64 row, begin, end;
  bool add;
};

class Segments {
 public:
  Segments(const Wires& wires, i64 channels, i64 together)
      : groups_((channels + together - 1) / together), begin_(groups_ + 3), segments_(wires.count() + wires.rows()) {
    if (!*this) return;
    i64* const begin = begin_.get();
    for (i64 group = 0; group < groups_ + 3; ++group) begin[group] = 0;
    each(wires, together, [&](i64 group, const Segment&) { ++begin[group + 2]; });
    for (i64 group = 0; group < groups_; ++group) begin[group + 2] += begin[group + 1];
    each(wires, together, [&](i64 group, const Segment& segment) { segments_.get()[begin[group + 1]++] = segment; });
    count_ = begin[groups_];
  }
  explicit operator bool() const { return begin_ && segments_; }
  const Segment* begin() const { return segments_.get(); }  // group by group
  const Segment* end() const { return segments_.get() + count_; }

 private:
  template <class F>
  static void each(const Wires& wires, i64 together, F body) {
    for (i64 row = 0; row < wires.rows(); ++row) {
      if (wires.begin(row) == wires.end(row)) body(0, Segment{row, 0, 0, false});  // written too: zeros
      for (i64 wire = wires.begin(row); wire < wires.end(row);) {
        const i64 group = wires.channel(wire) / together, first = wire;
        while (wire < wires.end(row) && wires.channel(wire) / together == group) ++wire;
        body(group, Segment{row, first, wire, first != wires.begin(row)});
      }
    }
  }

  i64 groups_, count_ = 0;
  Buffer<i64> begin_;
  Buffer<Segment> segments_;
};

inline bool reads_apart(const cv_problem& p) {
  return are_small(p) && (is_local(p.axes[2]) || p.axes[2].output >= 4 * p.axes[2].tile);  // there are neighbours of one phase
}

template <class S>
int correlate(const cv_problem& given, bool back, const cv_tensor& from, const void* weight, const cv_tensor& to, int threads) {
  using T = Computed<S>;
  const Packed<S> packed(given, weight, threads);
  if (!packed) return CV_NO_MEMORY;
  const cv_problem& p = packed.problem();
  const i64 lanes = lanes_of<T>(p.batch);
  const auto read_size = back ? &cv_axis::output : &cv_axis::size, write_size = back ? &cv_axis::size : &cv_axis::output;
  const i64 read_channels = back ? p.out_channels : p.in_channels, write_channels = back ? p.in_channels : p.out_channels;
  const i64 writes = p.axes[0].*write_size * (p.axes[1].*write_size) * (p.axes[2].*write_size);
  Laned<T> laned(p, read_channels, read_size);
  const i64 plane = laned.plane();
  const i64 line = p.axes[2].*read_size * lanes, sheet = p.axes[1].*read_size * line;  // of what is read, in elements
  Buffer<T> result(write_channels * writes * lanes);
  const bool own = is_local(p.axes[2]);
  const i64 positions = own ? kMostOwn : kMostAcross, wide = own ? Lanes<T>::kMost : Lanes<T>::kVector;
  const Direction d0(p.axes[0], back, 1), d1(p.axes[1], back, 1), d2(p.axes[2], back, positions);
  const Wires wires(p, back);
  if (!laned || !result || !d0 || !d1 || !d2 || !wires) return CV_NO_MEMORY;
  const i64 step = (own ? 1 : p.axes[2].tile) * (back ? 1 : p.axes[2].stride);
  const i64 rows_near = p.axes[0].kernel * p.axes[1].kernel, near = step * positions + p.axes[2].kernel;
  const i64 fit = kNearCache / (rows_near * near * wide * static_cast<i64>(sizeof(T)));
  const i64 taps = taps_of(p), count = wires.count();
  const i64 worth = kProducts * read_channels * write_channels / (count * taps + 1), together = fit > worth ? fit : worth;
  const Segments segments(wires, read_channels, together > 1 ? together : 1);
  const WirePlaces places(wires, plane * lanes);
  Buffer<i64> tables(2 * taps * threads);
  if (!segments || !places || !tables) return CV_NO_MEMORY;
  laned.template fill<S>(p, from, threads);

  const i64 parts = (lanes + wide - 1) / wide;  // of the samples
  const i64 units = d0.count() * d1.count() * d2.count() * parts;
  parallel(threads, [&](int worker, int workers) {
    i64 *const tap_weight = tables.get() + 2 * taps * worker, *const tap_from = tap_weight + taps;
    const Range mine = share(units, worker, workers);
    for (i64 unit = mine.begin; unit < mine.end; ++unit) {
      const i64 first = unit % parts * wide, end = first + wide < lanes ? first + wide : lanes, rest = unit / parts;
      const Run& r2 = d2.begin()[rest % d2.count()];
      const Run& r1 = d1.begin()[rest / d2.count() % d1.count()];
      const Run& r0 = d0.begin()[rest / d2.count() / d1.count()];
      i64 n = 0;
      for (i64 a = r0.low; a < r0.high; ++a)
        for (i64 b = r1.low; b < r1.high; ++b)
          for (i64 c = r2.low; c < r2.high; ++c, ++n) {
            tap_weight[n] = r0.phase->weight[a] + r1.phase->weight[b] + r2.phase->weight[c];
            tap_from[n] = r0.phase->from[a] * sheet + r1.phase->from[b] * line + r2.phase->from[c] * lanes;
          }
      const auto weights = [](const Run& r) { return r.begin * r.phase->weights; };
      const i64 line_taps = back ? r2.high - r2.low : n;
      i64 follow = r2.high - r2.low > 1 ? (r2.phase->from[r2.low + 1] - r2.phase->from[r2.low]) : 0;
      for (i64 c = r2.low + 1; c < r2.high; ++c)
        if (r2.phase->from[c] - r2.phase->from[c - 1] != follow) follow = 0;
      const i64 run = follow == r2.phase->across ? r2.high - r2.low : follow == -r2.phase->across ? r2.low - r2.high : 0;
      const T* const kernel = packed.weight() + weights(r0) + weights(r1) + weights(r2);
      const T* const x = laned.get() + r0.begin * r0.phase->across * sheet + r1.begin * r1.phase->across * line +
                         r2.begin * r2.phase->across * lanes;
      const auto written = [](const Run& r) { return r.phase->first + r.begin * r.phase->step; };
      const i64 position = (written(r0) * (p.axes[1].*write_size) + written(r1)) * (p.axes[2].*write_size) + written(r2);
      for (i64 lane = first; lane < end;) {
        const int width = next_lanes<T>(end - lane);
        for (const Segment& segment : segments)
          multiply_row<T>(own, width, r2.count,
                          {segment.end - segment.begin, wires.weights() + segment.begin, places.get() + segment.begin, n,
                           tap_weight, tap_from, kernel, r2.phase->weights, line_taps, run, x + lane, r2.phase->across * lanes,
                           result.get() + (segment.row * writes + position) * lanes + lane, r2.phase->step * lanes, segment.add});
        lane += width;
      }
    }
  });
  const Rows write_rows(write_channels, p.axes, write_size, to.strides);
  from_lanes(result.get(), to.strides[0], write_rows, p.batch, lanes, static_cast<S*>(to.data), threads);
  return CV_OK;
}

}  // namespace cv::CV_ISA
