#include "threads.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cv {
namespace {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class Pool {
 public:
  void run(int n, Task task, void* data) {
    while (static_cast<int>(threads_.size()) < n - 1) {
      const int number = static_cast<int>(threads_.size()) + 1;
      threads_.emplace_back([this, number, seen = round_.load()] { work(number, seen); });
      threads_.back().detach();
    }
    {
      std::lock_guard lock(mutex_);
      task_ = task;
      data_ = data;
      workers_ = n;
      left_.store(n - 1);
      round_.fetch_add(1);
    }
    begin_.notify_all();
    task(data, 0, n);
    for (int spins = 0; left_.load() > 0; ++spins) {
      if (spins < kSpins) {
        relax();
        continue;
      }
      std::unique_lock lock(mutex_);
      end_.wait(lock, [this] { return left_.load() == 0; });
    }
  }

 private:
  static constexpr int kSpins = 2000;  // some ten microseconds: longer would take the core from others

  void work(int number, std::uint64_t seen) {
    for (;;) {
      for (int spins = 0; spins < kSpins && round_.load() == seen; ++spins) relax();
      Task task;
      void* data;
      int workers;
      {
        std::unique_lock lock(mutex_);
        begin_.wait(lock, [&] { return round_.load() != seen; });
        seen = round_.load();
        task = task_;
        data = data_;
        workers = workers_;
      }
      if (number >= workers) continue;
      task(data, number, workers);
      if (left_.fetch_sub(1) == 1) {
        std::lock_guard lock(mutex_);
        end_.notify_one();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable begin_, end_;
  std::vector<std::thread> threads_;
  std::atomic<std::uint64_t> round_{0};
  std::atomic<int> left_{0};
  Task task_ = nullptr;
  void* data_ = nullptr;
  int workers_ = 0;
};

// Never destroyed: workers may outlive the end of the program's main function, and a forked child starts anew.
Pool* pool = nullptr;
std::mutex* entrance = nullptr;  // one call at a time; a second caller computes alone

void start() {
  pool = new Pool;
  entrance = new std::mutex;
}

}  // namespace

void run_on_threads(int n, Task task, void* data) {
  static const bool once = [] {
    start();
    pthread_atfork(nullptr, nullptr, start);
    return true;
  }();
  (void)once;
  if (n > 1 && entrance->try_lock()) {
    pool->run(n, task, data);
    entrance->unlock();
    return;
  }
  for (int worker = 0; worker < n; ++worker) task(data, worker, n);  // the same shares, so the same bits
}

}  // namespace cv
