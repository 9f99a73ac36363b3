// grad_weight where each position has a kernel of its own, so that a sum has a term for each sample and no more. Rows are
// elements of a window, as many as a vector has lanes, and vectors run over outputs: a corner of sums stays in registers from its
// first product on, is turned over there, and goes to the weights. An output's weights are written one after the other, so that
// memory has few of them to write to at once.
#pragma once

#include "layout.hpp"
#include "outward.hpp"
#include "sums.hpp"
#include "units.hpp"
#include "window_part.hpp"

namespace cv::CV_ISA {

// What a position reads: rows of samples, V of them and kTogether of their samples at a time, so that these are a constant apart.
template <class T>
class Panel {
 public:
  static constexpr int kRows = Lanes<T>::kVector;
  static constexpr i64 kTogether = 32;

  explicit Panel(T* values, i64 lanes) : values_(values), lanes_(lanes), tile_(values_of(kRows, lanes)) {}
  static i64 values_of(i64 rows, i64 lanes) {
    return (rows + kRows - 1) / kRows * kRows * ((lanes + kTogether - 1) / kTogether * kTogether);
  }
  const T* row(i64 number) const { return values_ + number / kRows * tile_ + number % kRows * kTogether; }

  // What lies `ahead` is fetched.
  void fill(const T* origin, const i64* input, i64 rows, i64 ahead) {
    constexpr i64 kLine = 64 / sizeof(T);
    for (i64 first = 0; first < rows; first += kRows)
      for (i64 b = 0; b < lanes_; b += kTogether) {
        const i64 left = lanes_ - b < kTogether ? lanes_ - b : kTogether;
        T* to = values_ + first / kRows * tile_ + b * kRows;
        for (i64 r = first; r < rows && r < first + kRows; ++r, to += kTogether) {
          const T* const from = origin + input[r] + b;
          for (i64 i = 0; i < left; i += kLine) __builtin_prefetch(from + ahead + i, 0, 2);
          if (left == kTogether) __builtin_memcpy(to, from, kTogether * sizeof(T));
          else
            for (i64 i = 0; i < left; i += Lanes<T>::kLeast) copy_lanes(Lanes<T>::kLeast, from + i, to + i);
        }
      }
  }

 private:
  T* values_;
  i64 lanes_, tile_;
};

// sum[v][m] = sum over samples of  row m * the v-th C outputs of a gradient, whose samples lie `width` apart.
template <class T, int C, int NV>
inline void sum_corner(const T* row, const T* gradient, i64 width, i64 samples, typename Vector<T, C>::type (&sum)[NV][C]) {
  using Vec = typename Vector<T, C>::type;
  constexpr i64 kTogether = Panel<T>::kTogether;
  for (int v = 0; v < NV; ++v)
    for (int m = 0; m < C; ++m) sum[v][m] = Vec{};
  for (i64 left = samples; left > 0; left -= kTogether, row += kTogether * Panel<T>::kRows) {
    const T* const end = row + (left < kTogether ? left : kTogether);
    for (const T* one = row; one != end; ++one, gradient += width) {
      Vec gradients[NV];
      for (int v = 0; v < NV; ++v) hold(gradients[v] = load<T, C>(gradient + v * C));
      for (int m = 0; m < C; ++m)
        for (int v = 0; v < NV; ++v) sum[v][m] += one[m * kTogether] * gradients[v];
    }
  }
}

// What a position's corners are made of, for a group of outputs.
template <class S>
struct Corners {
  using T = Computed<S>;
  const Panel<T>& panel;
  i64 rows;           // of the panel
  const i64* met;     // which elements of the window they are
  const T* gradient;  // of the group, at the position
  i64 samples;
  T* apart;  // for sums that do not go to the weights at once
  S* kernel;
  Sums<T> sums;
};

// The sums of NV * C outputs, from `first` of the group on. At an edge, where elements of the window are missing, and after the
// last whole corner, they are turned over together, once all are there.
template <int C, int NV, class S>
void sum_columns(const Corners<S>& corners, int first) {
  using T = Computed<S>;
  constexpr int W = NV * C;
  constexpr i64 kLine = 64 / sizeof(S);
  Sums<T> sums = corners.sums;
  const i64 n = sums.some.end, left = sums.outputs - first;
  const i64 whole = sums.side_by_side && corners.rows == n ? n / C * C : 0;
  sums.values = corners.apart;
  sums.group = {sums.group.first + first, W};
  sums.outputs = left < W ? left : W;
  sums.some.begin = whole;
  sums.row += first;
  sums.past = sums.past && C * sizeof(T) >= 64;  // whole lines only
  if (corners.rows < n) __builtin_memset(corners.apart, 0, n * W * sizeof(T));
  for (i64 r = 0; r < corners.rows; r += C) {
    if (r < whole && !sums.past)  // there by the time they are written
      for (i64 o = 0; o < sums.outputs; ++o)
        for (i64 i = 0; i < C; i += kLine) __builtin_prefetch(corners.kernel + sums.row[o] + sums.at[r] + C + i, 1, 2);
    typename Vector<T, C>::type corner[NV][C];
    sum_corner<T, C, NV>(corners.panel.row(r), corners.gradient + first, corners.sums.group.width, corners.samples, corner);
    for (int v = 0; v < NV; ++v)
      if (r < whole)
        write_corner<S>(corner[v], corners.kernel + sums.at[r], sums.row + v * C, sums.outputs - v * C, sums.add, sums.past);
      else
        for (int m = 0; m < C && r + m < corners.rows; ++m)
          store<T, C>(corners.apart + (corners.met[r + m] - whole) * W + v * C, corner[v][m]);
  }
  if (whole < n) turn_sums<C>(sums, corners.kernel);
}

template <class S>
int with_turned_corners(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight,
                        int threads) {
  using T = Computed<S>;
  constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast, NV = V < 8 ? 2 : 1;  // enough sums not to wait for each addition
  const i64 lanes = lanes_of<T>(p.batch), window = largest_window(p), positions = outputs_of(p), blocks = count_of_blocks(p);
  Laned<T> laned(p, p.in_channels, &cv_axis::size);
  const i64 plane = laned.plane();
  Outward<T> gradient(p);
  // A unit is a position and some inputs.
  const i64 taps = taps_of(p), parts = parts_of(p, blocks * positions, window * lanes * static_cast<i64>(sizeof(T)), threads);
  const i64 most = (window / taps + parts - 1) / parts * taps;  // of a part
  const i64 own_sums = most * NV * V, own_values = own_sums + Panel<T>::values_of(most, lanes);
  const i64 own_places = WindowPart::places(most) + most_outputs(p);
  Buffer<T> values(own_values * threads);
  Buffer<i64> tables(own_places * threads);
  if (!gradient || !laned || !values || !tables) return CV_NO_MEMORY;
  laned.template fill<S>(p, input, threads);
  gradient.template fill<S>(p, grad_output, threads);

  const bool large = !kIsHalf<S> && !p.add && p.out_channels * positions * window * static_cast<i64>(sizeof(S)) > kPastCache;
  parallel(threads, [&](int worker, int workers) {
    T* const sums = values.get() + worker * own_values;
    Panel<T> panel(sums + own_sums, lanes);
    i64* const places = tables.get() + worker * own_places;
    i64* const row = places + WindowPart::places(most);  // for each output
    const i64 each = positions * parts;
    each_block(p, each, share(blocks * each, worker, workers), [&](const Block& block, i64 begin, i64 end) {
      bool aligned = large;
      for (i64 o = 0; o < block.n_outputs; ++o) {
        row[o] = p.rows[block.outputs[o]];
        aligned = aligned && row[o] * sizeof(S) % kVectorBytes == 0;
      }
      WindowPart part(places, most);
      for (i64 unit = begin; unit < end; ++unit) {
        const Range mine = share(block.n_inputs, static_cast<int>(unit / positions), static_cast<int>(parts));
        if (mine.begin == mine.end) continue;
        part.read(p, block.inputs, mine, plane, lanes);
        const i64 position = unit % positions;
        const Place s = place_of(p, position);
        part.meet(p, box_of(p, s));
        S* const kernel = static_cast<S*>(grad_weight) + kernel_of(p, s);
        const bool past = aligned && reinterpret_cast<std::uintptr_t>(kernel + part.full.weight[0]) % kVectorBytes == 0;
        panel.fill(laned.get() + origin_of(p, s, lanes), part.input, part.n_met, p.axes[2].stride * lanes);
        each_group<T>(block.n_outputs, [&](Group group) {
          const Corners<S> corners{panel,
                                   part.n_met,
                                   part.met,
                                   gradient.begin(block, group) + gradient.sample(position) * group.width,
                                   p.batch,
                                   sums,
                                   kernel,
                                   {nullptr,
                                    group,
                                    block.n_outputs - group.first,
                                    {0, part.full.n},
                                    row + group.first,
                                    part.full.weight,
                                    part.side_by_side,
                                    p.add != 0,
                                    past}};
          if (group.width < V) return sum_columns<H, 1>(corners, 0);
          if (group.width < NV * V) return sum_columns<V, 1>(corners, 0);
          for (int first = 0; first < group.width; first += NV * V) sum_columns<V, NV>(corners, first);
        });
      }
    });
    if (large) fence();
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
