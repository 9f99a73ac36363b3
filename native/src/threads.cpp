#include "threads.hpp"

#include "convarium.h"
#include "system.hpp"

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

// The host's threads, where it lent them. Two teams would wait actively for each other's cores: a call just after one of the
// host's took 1.6 times as long.
std::atomic<const cv_team*> host{nullptr};

void start() {
  pool = new Pool;
  entrance = new std::mutex;
}

void start_again() {
  host.store(nullptr);  // an OpenMP team does not survive a fork
  start();
}

void run_on_team(const cv_team& team, int n, Task task, void* data) {
  struct Call {
    const cv_team* team;
    int n;
    Task task;
    void* data;
  } call{&team, n, task, data};
  team.fork(
      [](void* from) {
        const Call& call = *static_cast<Call*>(from);
        const int size = call.team->size();  // of the team, which may be smaller than was asked for
        for (int worker = call.team->number(); worker < call.n; worker += size) call.task(call.data, worker, call.n);
      },
      &call, static_cast<unsigned>(n), 0);
}

}  // namespace

void run_on_threads(int n, Task task, void* data) {
  static const bool once = [] {
    start();
    around_fork(nullptr, nullptr, start_again);
    return true;
  }();
  (void)once;
  if (n > 1) {
    if (const cv_team* team = host.load()) return run_on_team(*team, n, task, data);
  }
  if (n > 1 && entrance->try_lock()) {
    pool->run(n, task, data);
    entrance->unlock();
    return;
  }
  for (int worker = 0; worker < n; ++worker) task(data, worker, n);  // the same shares, so the same bits
}

}  // namespace cv

extern "C" void cv_lend_team(const cv_team* team) { cv::host.store(team && team->fork ? team : nullptr); }
