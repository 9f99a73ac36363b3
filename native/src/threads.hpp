// Workers that wait between calls, or those that the host lends. Work is split by number, not by who comes first: results do not
// depend on it.
#pragma once

#include <cstdint>

namespace cv {

using Task = void (*)(void* data, int worker, int workers);

// Calls task(data, 0, n) ... task(data, n - 1, n), the first of them on this thread, and returns when all are done.
void run_on_threads(int n, Task task, void* data);

template <class F>
void parallel(int n, F&& body) {
  run_on_threads(n, [](void* data, int worker, int workers) { (*static_cast<F*>(data))(worker, workers); }, &body);
}

struct Range {
  std::int64_t begin, end;
};

// The share of one worker of `count` things, in turn.
inline Range share(std::int64_t count, int worker, int workers) {
  return {count * worker / workers, count * (worker + 1) / workers};
}

// Whether some workers would wait for others for more than a fifth of the time.
inline bool is_uneven(std::int64_t count, int workers) { return (count + workers - 1) / workers * workers * 4 > count * 5; }

// In how many parts each of `count` things is best cut, of no more than `most`, so that all workers have as much.
inline std::int64_t parts_of_each(std::int64_t count, std::int64_t most, int workers) {
  return !is_uneven(count, workers) ? 1 : workers < most ? workers : most;
}

}  // namespace cv
