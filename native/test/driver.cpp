// Random problems through the C face, against sums written out: for sanitizers, and for whoever changes the core. Two threads
// call at once, each on problems of its own, and give back what the other took.
//
//     driver [problems] [seed]
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "convarium.h"

namespace {

using i64 = std::int64_t;

struct Random {
  std::mt19937_64 bits;
  i64 to(i64 low, i64 high) { return low + static_cast<i64>(bits() % static_cast<std::uint64_t>(high - low + 1)); }
  double number() { return std::uniform_real_distribution<double>(-1, 1)(bits); }
};

// A problem, and what it points into.
struct Case {
  cv_problem problem{};
  std::vector<std::vector<i64>> outputs, inputs;
  std::vector<cv_blocks> classes;
  std::vector<i64> rows;
  i64 weights = 1;

  explicit Case(Random& random) {
    cv_problem& p = problem;
    p.batch = random.to(1, 40);
    const int n = static_cast<int>(random.to(1, 3));
    for (int d = 0; d < 3; ++d) {
      cv_axis& axis = p.axes[d];
      if (d < 3 - n) {
        axis = {1, 1, 1, 1, 1, 0, 1, 0, 0};
        continue;
      }
      const i64 longer = d == 2 && random.to(0, 3) == 0 ? 5 : 1;
      axis.size = longer * random.to(1, n == 1 ? 20 : 7);
      axis.kernel = random.to(1, 4);
      axis.stride = random.to(1, 3);
      axis.dilation = random.to(1, 3) * (random.to(0, 3) ? 1 : -1);
      axis.output = longer * random.to(1, n == 1 ? 16 : 6);
      axis.begin = random.to(-6, 6);  // windows may lie outside, wholly too
      axis.tile = random.to(0, 1) ? axis.output : random.to(1, axis.output);
    }
    // blocks of channels: a partition of the outputs into blocks, each of which reads some inputs
    const i64 blocks = random.to(1, 3), of_outputs = random.to(1, 19), of_inputs = random.to(1, 5);
    p.out_channels = blocks * of_outputs + random.to(0, 1);  // one output may read nothing
    p.in_channels = of_inputs + random.to(0, 3);
    outputs.emplace_back();
    inputs.emplace_back();
    for (i64 b = 0; b < blocks; ++b) {
      for (i64 o = 0; o < of_outputs; ++o) outputs[0].push_back(o * blocks + b);
      const i64 first = random.to(0, p.in_channels - of_inputs);
      for (i64 i = 0; i < of_inputs; ++i) inputs[0].push_back(first + i);
    }
    classes.push_back({blocks, of_outputs, of_inputs, outputs[0].data(), inputs[0].data()});
    p.classes = classes.data();
    p.n_classes = 1;
    // the weight: (outputs, *tile, inputs, *kernel)
    i64 step = 1;
    for (int d = 2; d >= 0; --d) {
      p.axes[d].tap_step = step;
      step *= p.axes[d].kernel;
    }
    p.input_step = step;
    step *= of_inputs;
    for (int d = 2; d >= 0; --d) {
      p.axes[d].tile_step = step;
      step *= p.axes[d].tile;
    }
    for (i64 o = 0; o < p.out_channels; ++o) rows.push_back(o * step);
    weights = p.out_channels * step;
    p.rows = rows.data();
  }

  i64 inputs_size() const { return problem.axes[0].size * problem.axes[1].size * problem.axes[2].size; }
  i64 outputs_size() const { return problem.axes[0].output * problem.axes[1].output * problem.axes[2].output; }

  // Calls body(sample, output element, weight, input element) for every product.
  template <class F>
  void each_product(F body) const {
    const cv_problem& p = problem;
    const cv_blocks& c = classes[0];
    i64 s[3], m[3];
    for (i64 b = 0; b < p.batch; ++b)
      for (i64 n = 0; n < c.count; ++n)
        for (i64 o = 0; o < c.outputs; ++o)
          for (i64 i = 0; i < c.inputs; ++i)
            for (s[0] = 0; s[0] < p.axes[0].output; ++s[0])
              for (s[1] = 0; s[1] < p.axes[1].output; ++s[1])
                for (s[2] = 0; s[2] < p.axes[2].output; ++s[2])
                  for (m[0] = 0; m[0] < p.axes[0].kernel; ++m[0])
                    for (m[1] = 0; m[1] < p.axes[1].kernel; ++m[1])
                      for (m[2] = 0; m[2] < p.axes[2].kernel; ++m[2]) {
                        const i64 to = c.output_channels[n * c.outputs + o], from = c.input_channels[n * c.inputs + i];
                        i64 out = b * p.out_channels + to, in = b * p.in_channels + from, weight = p.rows[to] + i * p.input_step;
                        bool inside = true;
                        for (int d = 0; d < 3; ++d) {
                          const cv_axis& axis = p.axes[d];
                          const i64 at = s[d] * axis.stride + axis.begin + m[d] * axis.dilation;
                          inside = inside && at >= 0 && at < axis.size;
                          out = out * axis.output + s[d];
                          in = in * axis.size + at;
                          weight += s[d] % axis.tile * axis.tile_step + m[d] * axis.tap_step;
                        }
                        if (inside) body(out, weight, in);
                      }
  }
};

cv_tensor tensor(void* data, i64 channels, const cv_axis (&axes)[3], i64 cv_axis::* size) {
  cv_tensor made{data, {}};
  i64 step = 1;
  for (int d = 2; d >= 0; --d) {
    made.strides[2 + d] = step;
    step *= axes[d].*size;
  }
  made.strides[1] = step;
  made.strides[0] = step * channels;
  return made;
}

// Numbers as a dtype keeps them. Halves are given few digits, so that all of them are exact.
template <int kFraction>
struct Kept {
  std::uint16_t bits;
  Kept() = default;
  explicit Kept(double value) {
    if (std::isnan(value)) {
      bits = 0x7fff;
      return;
    }
    int exponent = 0;
    const double part = std::frexp(std::round(value * 64) / 64, &exponent);
    const int bias = (1 << (14 - kFraction)) - 1;
    bits = part == 0
               ? 0
               : static_cast<std::uint16_t>((part < 0) << 15 | (exponent - 1 + bias) << kFraction |
                                            (static_cast<int>(std::fabs(part) * (2 << kFraction)) & ((1 << kFraction) - 1)));
  }
  operator double() const {
    const int bias = (1 << (14 - kFraction)) - 1, exponent = bits >> kFraction & ((1 << (15 - kFraction)) - 1),
              fraction = bits & ((1 << kFraction) - 1);
    if (exponent == 2 * bias + 1) return fraction ? NAN : INFINITY;
    const double size =
        std::ldexp(exponent ? (1 << kFraction) + fraction : fraction, (exponent ? exponent : 1) - bias - kFraction);
    return bits & 0x8000 ? -size : size;
  }
};

template <class T>
double furthest(const std::vector<T>& got, const std::vector<double>& expected) {
  double most = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    most = std::fmax(most, std::fabs(got[i] - expected[i]) / (1 + std::fabs(expected[i])));
  return most;
}

// What cv_managed_tensor returns.
struct Managed {
  i64* data;
  std::int32_t device_type, device_id, ndim;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  std::int64_t *shape, *strides;
  std::uint64_t byte_offset;
  void* context;
  void (*deleter)(Managed*);
};

// Tensors of the pool that are left by one thread, and read and given back by whichever comes next.
class Table {
 public:
  // Leaves a tensor, each number of which is how many there are; whether the one that lay here was as it was left.
  bool put(i64 numbers) {
    auto* made = static_cast<Managed*>(cv_managed_tensor(1, &numbers, 0, 64));
    if (!made) return false;
    for (i64 i = 0; i < numbers; ++i) made->data[i] = numbers;
    return clear(made);
  }

  bool clear(Managed* next = nullptr) {
    Managed* found = lying_.exchange(next);
    if (!found) return true;
    bool good = true;
    for (i64 i = 0; i < found->shape[0]; ++i) good = good && found->data[i] == found->shape[0];
    found->deleter(found);
    return good;
  }

 private:
  std::atomic<Managed*> lying_{nullptr};
};

// The threads that call the core: what they share.
struct Users {
  static constexpr int kCount = 2;
  std::barrier<> ready{kCount};  // sums written out take longest: without it, calls would seldom meet
  Table table;
};

template <class T>
bool agrees(Random& random, int dtype, double allowed, Users& users) {
  Case c(random);
  cv_problem& p = c.problem;
  p.dtype = dtype;
  constexpr int kWays[] = {CV_BEST_WAY, CV_GATHERED, CV_NEIGHBOURS, CV_LINES};
  p.way = kWays[random.to(0, 3)] + static_cast<int>(random.to(0, 1)) * CV_IN_SLABS;
  std::vector<T> input(p.batch * p.in_channels * c.inputs_size()), output(p.batch * p.out_channels * c.outputs_size()),
      weight(c.weights);
  for (auto* values : {&input, &output, &weight})
    for (T& value : *values) value = T(random.number());
  std::vector<double> forward(output.size()), grad_input(input.size()), grad_weight(weight.size());
  c.each_product([&](i64 out, i64 w, i64 in) {
    forward[out] += static_cast<double>(weight[w]) * input[in];
    grad_input[in] += static_cast<double>(weight[w]) * output[out];
    grad_weight[w] += static_cast<double>(input[in]) * output[out];
  });
  std::vector<T> got_forward(output.size(), T(NAN)), got_input(input.size(), T(NAN)), got_weight(weight.size(), T(0));
  const int threads = static_cast<int>(random.to(1, 4));
  const cv_tensor in = tensor(input.data(), p.in_channels, p.axes, &cv_axis::size);
  const cv_tensor out = tensor(output.data(), p.out_channels, p.axes, &cv_axis::output);
  const cv_tensor to_out = tensor(got_forward.data(), p.out_channels, p.axes, &cv_axis::output);
  const cv_tensor to_in = tensor(got_input.data(), p.in_channels, p.axes, &cv_axis::size);
  users.ready.arrive_and_wait();
  if (!users.table.put(random.to(1, 3) * 1000)) return false;
  if (cv_forward(&p, &in, weight.data(), &to_out, threads) || cv_grad_input(&p, &out, weight.data(), &to_in, threads) ||
      cv_grad_weight(&p, &in, &out, got_weight.data(), threads))
    return false;
  const double errors[] = {furthest(got_forward, forward), furthest(got_input, grad_input), furthest(got_weight, grad_weight)};
  const bool good = errors[0] < allowed && errors[1] < allowed && errors[2] < allowed;
  if (!good) std::printf("off by %g, %g, %g\n", errors[0], errors[1], errors[2]);
  return good;
}

// Whether a problem agrees; says so if not.
bool solve(long number, Users& users) {
  Random random{std::mt19937_64(static_cast<std::uint64_t>(number))};
  const bool good = number % 4 == 0   ? agrees<float>(random, CV_FLOAT32, 1e-3, users)
                    : number % 4 == 1 ? agrees<double>(random, CV_FLOAT64, 1e-10, users)
                    : number % 4 == 2 ? agrees<Kept<7>>(random, CV_BFLOAT16, 5e-3, users)
                                      : agrees<Kept<10>>(random, CV_FLOAT16, 1e-3, users);
  if (!good) std::printf("problem %ld does not agree on %s: driver 1 %ld\n", number, cv_isa(), number);
  return good;
}

bool is_compiled(const char* isa) {
  for (int i = 0; const char* name = cv_isa_name(i); ++i)
    if (!std::strcmp(name, isa)) return true;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const long problems = argc > 1 ? std::atol(argv[1]) : 300, seed = argc > 2 ? std::atol(argv[2]) : 0;
  const char* asked = std::getenv("CONVARIUM_ISA");
  if (asked && std::strcmp(asked, cv_isa())) {
    std::printf(is_compiled(asked) ? "%s: compiled and not run, this machine has not got it\n" : "%s: not compiled here\n",
                asked);
    return 0;
  }
  Users users;
  std::atomic<bool> good{true};
  const auto call = [&](long user) {
    for (long n = user; n < problems && good; n += Users::kCount) {
      // a block that is used after it was given back is seen where none is kept; where some are, they go to the next user
      cv_memory_limit(n / Users::kCount % 2 ? i64{1} << 20 : 0);
      if (!solve(seed + n, users)) good = false;
    }
    users.ready.arrive_and_drop();
  };
  std::thread other(call, 1);
  call(0);
  other.join();
  if (!users.table.clear()) {
    std::printf("a tensor is not as it was left\n");
    good = false;
  }
  if (!good) return 1;
  std::printf("%ld problems agree on %s\n", problems, cv_isa());
}
