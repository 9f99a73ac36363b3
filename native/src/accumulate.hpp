// grad_weight where many positions share a kernel: a weight is the sum over these, and over the batch, of a gradient times what
// its tap read. Vectors run over the batch, and stay vectors until all positions are summed up; nothing is turned or gathered.
#pragma once

#include <optional>

#include "correlate.hpp"
#include "layout.hpp"
#include "phases.hpp"
#include "units.hpp"
#include "wires.hpp"

namespace cv::CV_ISA {

constexpr int kMostOutputs = 4;
constexpr int kMostTaps = kManyRegisters ? 6 : 3;  // as many sums as there are registers
constexpr i64 kSteps = 192;                        // positions before sums go back to memory

// sums[m][n] += the sum over lines and positions of  g[m] * x[from[n]].
template <class T>
struct Area {
  const T* g[kMostOutputs];
  const T* x;
  const i64* from;
  T* sums[kMostOutputs];
  const i64* slots;  // where the sum of a tap lies
  i64 lines, g_line, x_line;
  i64 positions, g_step, x_step;
};

template <class T, int V, int M, int N>
void accumulate_area(const Area<T>& area) {
  using Vec = typename Vector<T, V>::type;
  Vec sum[M][N];
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) sum[m][n] = Vec{};
  for (i64 line = 0; line < area.lines; ++line) {
    const T* g[M];
    const T* x[N];
    for (int m = 0; m < M; ++m) g[m] = area.g[m] + line * area.g_line;
    for (int n = 0; n < N; ++n) x[n] = area.x + line * area.x_line + area.from[n];
    i64 at_g = 0, at_x = 0;
    for (i64 position = 0; position < area.positions; ++position, at_g += area.g_step, at_x += area.x_step) {
      Vec xs[N];
      for (int n = 0; n < N; ++n) xs[n] = load<T, V>(x[n] + at_x);
      for (int m = 0; m < M; ++m) {
        const Vec one = load<T, V>(g[m] + at_g);
        for (int n = 0; n < N; ++n) sum[m][n] += one * xs[n];
      }
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) {
      T* const to = area.sums[m] + area.slots[n] * Lanes<T>::kVector;
      store<T, V>(to, load<T, V>(to) + sum[m][n]);
    }
}

template <class T, int V, int M, int... N>
void accumulate_area(int taps, const Area<T>& area, std::integer_sequence<int, N...>) {
  static constexpr void (*table[])(const Area<T>&) = {accumulate_area<T, V, M, N + 1>...};
  table[taps - 1](area);
}

template <class T, int V>
void accumulate_area(int outputs, int taps, const Area<T>& area) {
  constexpr auto all = std::make_integer_sequence<int, kMostTaps>{};
  static_assert(kMostOutputs == 4);
  switch (outputs) {
    case 1: return accumulate_area<T, V, 1>(taps, area, all);
    case 2: return accumulate_area<T, V, 2>(taps, area, all);
    case 3: return accumulate_area<T, V, 3>(taps, area, all);
    case 4: return accumulate_area<T, V, 4>(taps, area, all);
  }
}

template <class T>
void accumulate_area(int lanes, int outputs, int taps, const Area<T>& area) {
  if (lanes == Lanes<T>::kVector) accumulate_area<T, Lanes<T>::kVector>(outputs, taps, area);
  else accumulate_area<T, Lanes<T>::kLeast>(outputs, taps, area);
}

// Outputs that all read the same inputs, where the weights of each begin, and from there those of an input.
struct Complete {
  const i64 *outputs, *weights, *inputs, *input_weights;
  i64 n_outputs, n_inputs;
};

// The graph as such parts: its blocks, or where these are small an input channel each, with all that read it.
class Parts {
 public:
  Parts(const cv_problem& p, bool by_input)
      : count_(by_input ? p.in_channels : count_of_blocks(p)),
        parts_(count_),
        rows_(p.out_channels),
        steps_(p.in_channels),
        numbers_(p.in_channels) {
    if (by_input) wires_.emplace(p, true);
    if (!*this) return;
    for (i64 i = 0; i < p.in_channels; ++i) {
      steps_.get()[i] = i * p.input_step;
      numbers_.get()[i] = i;
    }
    if (by_input) {
      for (i64 i = 0; i < p.in_channels; ++i)
        parts_.get()[i] = {wires_->channels() + wires_->begin(i),
                           wires_->weights() + wires_->begin(i),
                           numbers_.get() + i,
                           steps_.get(),
                           wires_->end(i) - wires_->begin(i),
                           1};
      return;
    }
    Complete* part = parts_.get();
    i64* row = rows_.get();
    for (i64 k = 0; k < p.n_classes; ++k)
      for (i64 n = 0; n < p.classes[k].count; ++n, row += p.classes[k].outputs) {
        const Block block = block_of(p.classes[k], n);
        for (i64 o = 0; o < block.n_outputs; ++o) row[o] = p.rows[block.outputs[o]];
        *part++ = {block.outputs, row, block.inputs, steps_.get(), block.n_outputs, block.n_inputs};
      }
  }
  explicit operator bool() const { return (!wires_ || *wires_) && parts_ && rows_ && steps_ && numbers_; }
  const Complete* begin() const { return parts_.get(); }
  const Complete* end() const { return parts_.get() + count_; }

 private:
  std::optional<Wires> wires_;  // a table by edge, which blocks do without
  i64 count_;
  Buffer<Complete> parts_;
  Buffer<i64> rows_, steps_, numbers_;
};

// Whether sums are worth leaving in vectors of samples: a kernel has positions enough, samples fill a vector, and outputs do not.
template <class T>
bool sums_stay(const cv_problem& p) {
  constexpr i64 V = Lanes<T>::kVector;
  const i64 vectors = (p.batch + V - 1) / V;
  const bool many = outputs_of(p) / kernels_of(p) * vectors >= 64 && p.axes[2].output >= 4 * p.axes[2].tile;
  return many && p.batch >= V && !are_large(p);
}

template <class S>
int accumulate(const cv_problem& p, const cv_tensor& input, const cv_tensor& grad_output, void* grad_weight, int threads) {
  using T = Computed<S>;
  constexpr int V = Lanes<T>::kVector;
  const i64 lanes = lanes_of<T>(p.batch), taps = taps_of(p);
  // A vector of samples after the other: what is summed up over some positions then lies in whole lines, and stays near.
  Laned<T> laned(p, p.in_channels, &cv_axis::size, V), gradient(p, p.out_channels, &cv_axis::output, V);
  const i64 plane = laned.plane(), g_plane = gradient.plane(), width = laned.width();
  const i64 line = p.axes[2].size * width, sheet = p.axes[1].size * line;
  const i64 g_line = p.axes[2].output * width, g_sheet = p.axes[1].output * g_line;
  const i64 along = (p.axes[2].output + p.axes[2].tile - 1) / p.axes[2].tile;
  const Direction d0(p.axes[0], false, 1, true), d1(p.axes[1], false, along < kSteps ? kSteps / along : 1, true),
      d2(p.axes[2], false, kSteps, true);
  const Parts parts(p, are_small(p));
  if (!d0 || !d1 || !d2 || !parts || !laned || !gradient) return CV_NO_MEMORY;

  // A unit is a kernel, some outputs and some inputs: so many that their sums stay near, so few that each thread has some.
  i64 outputs = 1, inputs = 1;
  for (const Complete& part : parts) {
    outputs = part.n_outputs > outputs ? part.n_outputs : outputs;
    inputs = part.n_inputs > inputs ? part.n_inputs : inputs;
  }
  const i64 most = kSums / (V * static_cast<i64>(sizeof(T))) / taps;  // pairs of an output and an input
  if (outputs > 64) outputs = 64;
  if (outputs > most) outputs = most > kMostOutputs ? most : kMostOutputs;
  if (inputs > most / outputs) inputs = most / outputs > 1 ? most / outputs : 1;
  const auto pieces = [&](const Complete& part) {
    return ((part.n_outputs + outputs - 1) / outputs) * ((part.n_inputs + inputs - 1) / inputs);
  };
  const auto count = [&] {
    i64 units = 0;
    for (const Complete& part : parts) units += pieces(part) * kernels_of(p);
    return units;
  };
  while (count() < 4 * threads && (inputs > 1 || outputs > kMostOutputs))
    (inputs > 1 ? inputs : outputs) = ((inputs > 1 ? inputs : outputs) + 1) / 2;

  const i64 own_sums = outputs * inputs * taps * V, own_places = 2 * inputs * taps;
  Buffer<T> all_sums(own_sums * threads);
  Buffer<i64> tables(own_places * threads);
  if (!all_sums || !tables) return CV_NO_MEMORY;
  laned.template fill<S>(p, input, threads);
  gradient.template fill<S>(p, grad_output, threads);

  const auto sum_up = [&](const Complete& part, Range o, Range i, const Phase& p0, const Phase& p1, const Phase& p2, T* sums,
                          i64* from, i64* slots) {
    const i64 n_all = (i.end - i.begin) * taps;
    __builtin_memset(sums, 0, (o.end - o.begin) * n_all * V * sizeof(T));
    for (const Run& r0 : p0.runs) {
      for (const Run& r1 : p1.runs) {
        for (const Run& r2 : p2.runs) {
          i64 n = 0;
          for (i64 channel = i.begin; channel < i.end; ++channel)
            for (i64 a = r0.low; a < r0.high; ++a)
              for (i64 b = r1.low; b < r1.high; ++b)
                for (i64 c = r2.low; c < r2.high; ++c, ++n) {
                  from[n] = part.inputs[channel] * plane * width + p0.from[a] * sheet + p1.from[b] * line + p2.from[c] * width;
                  slots[n] = (channel - i.begin) * taps + (a * p1.taps + b) * p2.taps + c;
                }
          const i64 x_at = r0.begin * p0.across * sheet + r1.begin * p1.across * line + r2.begin * p2.across * width;
          const i64 g_at = (p0.first + r0.begin * p0.step) * g_sheet + (p1.first + r1.begin * p1.step) * g_line +
                           (p2.first + r2.begin * p2.step) * width;
          for (i64 block = 0; block * V < lanes; ++block) {
            const int some = lanes - block * V < V ? Lanes<T>::kLeast : V;
            for (i64 k = 0; k < n;) {
              const i64 columns = next_part(n - k, kMostTaps);
              for (i64 output = o.begin; output < o.end;) {
                const i64 rows = next_part(o.end - output, kMostOutputs);
                Area<T> area{{},
                             laned.get() + block * laned.block() + x_at,
                             from + k,
                             {},
                             slots + k,
                             r1.count,
                             p1.step * g_line,
                             p1.across * line,
                             r2.count,
                             p2.step * width,
                             p2.across * width};
                for (i64 m = 0; m < rows; ++m) {
                  area.g[m] = gradient.get() + block * gradient.block() + part.outputs[output + m] * g_plane * width + g_at;
                  area.sums[m] = sums + (output + m - o.begin) * n_all * V;
                }
                accumulate_area<T>(some, static_cast<int>(rows), static_cast<int>(columns), area);
                output += rows;
              }
              k += columns;
            }
          }
        }
      }
    }
    for (i64 output = o.begin; output < o.end; ++output)
      for (i64 channel = i.begin; channel < i.end; ++channel)
        for (i64 a = 0; a < p0.taps; ++a)
          for (i64 b = 0; b < p1.taps; ++b)
            for (i64 c = 0; c < p2.taps; ++c, sums += V) {
              T total = 0;
              for (int lane = 0; lane < V; ++lane) total += sums[lane];
              S& to = static_cast<S*>(
                  grad_weight)[part.weights[output] + part.input_weights[channel] + p0.weight[a] + p1.weight[b] + p2.weight[c]];
              to = narrow<S>(p.add ? widen(to) + total : total);
            }
  };

  const i64 units = count();
  parallel(threads, [&](int worker, int workers) {
    const Range mine = share(units, worker, workers);
    T* const sums = all_sums.get() + worker * own_sums;
    i64* const from = tables.get() + worker * own_places;
    i64 first = 0;
    for (const Complete& part : parts) {
      const i64 of_inputs = (part.n_inputs + inputs - 1) / inputs, each = pieces(part) * kernels_of(p);
      for (i64 unit = mine.begin > first ? mine.begin - first : 0; unit < each && first + unit < mine.end; ++unit) {
        const i64 kernel = unit / pieces(part), piece = unit % pieces(part);
        const i64 o = piece / of_inputs * outputs, i = piece % of_inputs * inputs;
        const Place phase{
            {kernel / (p.axes[1].tile * p.axes[2].tile), kernel / p.axes[2].tile % p.axes[1].tile, kernel % p.axes[2].tile}};
        sum_up(part, {o, o + outputs < part.n_outputs ? o + outputs : part.n_outputs},
               {i, i + inputs < part.n_inputs ? i + inputs : part.n_inputs}, d0.phase(phase.at[0]), d1.phase(phase.at[1]),
               d2.phase(phase.at[2]), sums, from, from + own_places / 2);
      }
      first += each;
    }
  });
  return CV_OK;
}

}  // namespace cv::CV_ISA
