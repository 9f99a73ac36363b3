// forward and grad_input where few outputs read alike, and positions have different kernels. A fan is an input channel at a
// position: its window stays in registers for all outputs that read it, or to sum up what all of them give back to it.
#pragma once

#include "fan_weights.hpp"
#include "layout.hpp"
#include "sharing.hpp"
#include "units.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr int kMostInFan = kManyRegisters ? 12 : 6;  // taps, of two vectors each, for which there are registers

// Some taps of a fan, whose weights lie side by side.
template <class T>
struct Fan {
  i64 wires;
  const i64 *weight, *output;  // of each wire: where its taps and its vectors begin
  const T* kernel;
  const i64* from;  // of each tap
  i64 ahead;        // to the weights that are fetched
};

// Calls body(weights, its place among the outputs) for each wire; those that lie ahead of R weights are fetched.
template <int R, bool Ahead, class T, class F>
inline void each_wire(const Fan<T>& fan, F body) {
  const T* const kernel = fan.kernel;
  [[maybe_unused]] const i64 ahead = fan.ahead + R - 1;
  const i64 *weights = fan.weight, *output = fan.output;
  for (const i64* const end = weights + fan.wires; weights != end; ++weights, ++output) {
    const T* const weight = kernel + *weights;
    if constexpr (Ahead) __builtin_prefetch(weight + ahead, 0, 2);
    body(weight, *output);
  }
}

// outputs[wire] += the sum over taps of  weight[wire][tap] * x[tap]
template <class T, int V, int NV, int R, bool Ahead>
void fan_out(const Fan<T>& fan, const T* x, T* outputs) {
  using Vec = typename Vector<T, V>::type;
  Vec xs[R][NV];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) hold(xs[r][v] = load<T, V>(x + fan.from[r] + v * V));
  each_wire<R, Ahead>(fan, [&](const T* weight, i64 output) {
    T* const to = outputs + output;
    Vec sum[NV];
    for (int v = 0; v < NV; ++v) sum[v] = load<T, V>(to + v * V);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < NV; ++v) sum[v] += weight[r] * xs[r][v];
    for (int v = 0; v < NV; ++v) store<T, V>(to + v * V, sum[v]);
  });
}

// x[tap] += the sum over wires of  weight[wire][tap] * outputs[wire]
template <class T, int V, int NV, int R, bool Ahead>
void fan_in(const Fan<T>& fan, const T* outputs, T* x) {
  using Vec = typename Vector<T, V>::type;
  Vec sum[R][NV];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) sum[r][v] = Vec{};
  each_wire<R, Ahead>(fan, [&](const T* weight, i64 output) {
    Vec gs[NV];
    for (int v = 0; v < NV; ++v) hold(gs[v] = load<T, V>(outputs + output + v * V));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < NV; ++v) sum[r][v] += weight[r] * gs[v];
  });
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < NV; ++v) {
      T* const to = x + fan.from[r] + v * V;
      store<T, V>(to, load<T, V>(to) + sum[r][v]);
    }
}

template <class T, bool Back, int V, int NV, int... R>
void multiply_fan(int taps, const Fan<T>& fan, const T* from, T* to, std::integer_sequence<int, R...>) {
  using Multiply = void(const Fan<T>&, const T*, T*);
  static constexpr Multiply* plain[] = {(Back ? fan_in<T, V, NV, R + 1, false> : fan_out<T, V, NV, R + 1, false>)...};
  static constexpr Multiply* ahead[] = {(Back ? fan_in<T, V, NV, R + 1, true> : fan_out<T, V, NV, R + 1, true>)...};
  (fan.ahead ? ahead : plain)[taps - 1](fan, from, to);
}

template <class T, bool Back>
void multiply_fan(int lanes, int taps, const Fan<T>& fan, const T* from, T* to) {
  constexpr int V = Lanes<T>::kVector, H = Lanes<T>::kLeast;
  constexpr auto all = std::make_integer_sequence<int, kMostInFan>{};
  if (lanes == 2 * V) multiply_fan<T, Back, V, 2>(taps, fan, from, to, all);
  else if (lanes == V) multiply_fan<T, Back, V, 1>(taps, fan, from, to, all);
  else multiply_fan<T, Back, H, 1>(taps, fan, from, to, all);
}

// Whether channels are read by enough outputs, where positions have different kernels.
inline bool are_fans(const cv_problem& p) { return kernels_of(p) > 1 && count_of_edges(p) >= 4 * p.in_channels; }

template <class S, bool Back>
int in_fans(const cv_problem& given, const cv_tensor& from, const void* weight, const cv_tensor& to, int threads) {
  using T = Computed<S>;
  const Wires wires(given, true);
  if (!wires) return CV_NO_MEMORY;
  const FanWeights<S> weights(given, weight, wires, threads);
  if (!weights) return CV_NO_MEMORY;
  const cv_problem& p = weights.problem();
  const auto read_size = Back ? &cv_axis::output : &cv_axis::size, write_size = Back ? &cv_axis::size : &cv_axis::output;
  const i64 read_channels = Back ? p.out_channels : p.in_channels, write_channels = Back ? p.in_channels : p.out_channels;
  const i64 lanes = lanes_of<T>(p.batch), taps = taps_of(p), positions = outputs_of(p);
  const i64 x_positions = inputs_of(p), written = Back ? x_positions : positions;
  Laned<T> laned(p, read_channels, read_size);
  const i64 plane = laned.plane(), x_plane = Back ? x_positions : plane;
  Buffer<T> result(write_channels * written * lanes);
  if (!laned || !result) return CV_NO_MEMORY;
  i64 most = 0;  // wires of a fan
  for (i64 channel = 0; channel < p.in_channels; ++channel)
    if (const i64 count = wires.end(channel) - wires.begin(channel); count > most) most = count;
  const i64 own_sums = Back ? 0 : p.out_channels * lanes, own_values = own_sums + most * kMostInFan;
  const WirePlaces outputs(wires, (Back ? plane : 1) * lanes);
  Buffer<i64> tables((2 * taps + most) * threads);
  Buffer<T> scratches(own_values * threads);
  if (!outputs || !tables || !scratches) return CV_NO_MEMORY;
  laned.template fill<S>(p, from, threads);
  if constexpr (Back) zero(result.get(), write_channels * written * lanes, threads);

  const Sharing<T> sharing(p, threads);
  parallel(threads, [&](int worker, int workers) {
    T *const sums = scratches.get() + worker * own_values, *const copy = sums + own_sums;
    i64* const places = tables.get() + worker * (2 * taps + most);
    Window met{0, places, places + taps};  // of a channel
    Box known{{-1, -1, -1}, {}};
    bool side_by_side = false;
    i64* const copied = places + 2 * taps;  // where the wires of a copy begin
    Share mine{{0, lanes}, {0, p.in_channels}};
    Range range{0, positions};
    if constexpr (Back) mine = sharing.of(worker, workers);
    else range = share(positions, worker, workers);
    Place next = place_of(p, range.begin);
    for (i64 position = range.begin; position < range.end; ++position) {
      const Place s = next;
      if (position + 1 < range.end) next = place_of(p, position + 1);
      if (const Box box = box_of(p, s); !(box == known)) {
        const i64 itself = 0;
        known = box;
        met.build(p, box, &itself, {0, 1}, plane, lanes);
        side_by_side = met.side_by_side();
      }
      const i64 origin = origin_of(p, s, lanes), own_kernel = kernel_of(p, s);
      const T* const kernel = weights.get() + own_kernel;
      const i64 ahead = kernels_of(p) > 16 ? kernel_of(p, next) - own_kernel : 0;
      if constexpr (!Back) __builtin_memset(sums, 0, own_sums * sizeof(T));
      else  // what all outputs give back at the next position
        for (i64 o = 0; o < read_channels; ++o)
          for (i64 lane = mine.lanes.begin; lane < mine.lanes.end; lane += 64 / sizeof(T))
            __builtin_prefetch(laned.get() + (o * plane + position + 1) * lanes + lane, 0, 3);
      for (i64 channel = mine.channels.begin; channel < mine.channels.end; ++channel) {
        const i64 first = wires.begin(channel), count = wires.end(channel) - first, x_at = channel * x_plane * lanes + origin;
        if (!count) continue;
        for (i64 k = 0; k < met.n;) {
          const int some = static_cast<int>(next_part(met.n - k, kMostInFan));
          Fan<T> fan{count,         weights.places() + first,    outputs.get() + first, kernel + met.weight[k],
                     met.input + k, k + some < met.n ? 0 : ahead};
          if (!side_by_side) {
            for (i64 wire = 0; wire < count; ++wire) {
              copied[wire] = wire * some;
              for (int r = 0; r < some; ++r) copy[wire * some + r] = kernel[fan.weight[wire] + met.weight[k + r]];
            }
            fan.weight = copied;
            fan.kernel = copy;
            fan.ahead = 0;
          }
          for (i64 lane = mine.lanes.begin; lane < mine.lanes.end;) {
            const int width = next_lanes<T>(mine.lanes.end - lane);
            if constexpr (Back)
              multiply_fan<T, true>(width, some, fan, laned.get() + position * lanes + lane, result.get() + x_at + lane);
            else multiply_fan<T, false>(width, some, fan, laned.get() + x_at + lane, sums + lane);
            lane += width;
            fan.ahead = 0;  // once is enough
          }
          k += some;
        }
      }
      if constexpr (!Back)
        for (i64 o = 0; o < p.out_channels; ++o)
          __builtin_memcpy(result.get() + (o * positions + position) * lanes, sums + o * lanes, lanes * sizeof(T));
    }
  });
  const Rows rows(write_channels, p.axes, write_size, to.strides);
  from_lanes(result.get(), to.strides[0], rows, p.batch, lanes, static_cast<S*>(to.data), threads);
  return CV_OK;
}

}  // namespace cv::CV_ISA
