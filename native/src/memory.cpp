#include "memory.hpp"

#include <mutex>
#include <new>
#include <vector>

#include "convarium.h"
#include "system.hpp"

namespace cv {
namespace {

constexpr std::size_t kHeader = 64;
constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kLargest = std::size_t{1} << 46;  // more than any machine has; sums below cannot overflow

struct Header {
  std::size_t bytes;  // of the whole block
};

// Four sizes to each power of two: a block serves what is up to a fifth smaller.
std::size_t size_class(std::size_t bytes) {
  std::size_t power = 4096;
  while (power * 2 <= bytes) power *= 2;
#ifdef CV_EXACT_BLOCKS
  const std::size_t step = 64;
#else
  const std::size_t step = power / 4;
#endif
  return (bytes + step - 1) / step * step;
}

class Pool {
 public:
  void* take(std::size_t bytes) {
    if (bytes > kLargest) return nullptr;
    const std::size_t size = size_class(bytes + kHeader);
    void* block = nullptr;
    {
      std::lock_guard lock(mutex_);
      for (std::size_t i = free_.size(); i-- > 0 && !block;)  // the last one given back: it may still be in a cache
        if (size_of(free_[i]) == size) {
          block = free_[i];
          free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(i));
          cached_ -= size;
        }
    }
    if (!block) block = fresh(size);
    if (!block) {
      empty();
      block = fresh(size);
      if (!block) return nullptr;
    }
    static_cast<Header*>(block)->bytes = size;
    std::lock_guard lock(mutex_);
    used_ += size;
    if (used_ > peak_) peak_ = used_;
    ++taken_;
    return static_cast<char*>(block) + kHeader;
  }

  void give(void* data) {
    void* block = static_cast<char*>(data) - kHeader;
    const std::size_t size = size_of(block);
    std::vector<void*> leaving;
    {
      std::lock_guard lock(mutex_);
      used_ -= size;
      cached_ += size;
      free_.push_back(block);
      leaving = trim(limit_);
    }
    for (void* each : leaving) release(each);
  }

  void empty() {
    std::vector<void*> leaving;
    {
      std::lock_guard lock(mutex_);
      leaving = trim(0);
    }
    for (void* each : leaving) release(each);
  }

  void limit(std::size_t bytes) {
    std::vector<void*> leaving;
    {
      std::lock_guard lock(mutex_);
      limit_ = bytes;
      leaving = trim(bytes);
    }
    for (void* each : leaving) release(each);
  }

  cv_memory stats() {
    std::lock_guard lock(mutex_);
    return {static_cast<std::int64_t>(used_),  static_cast<std::int64_t>(cached_), static_cast<std::int64_t>(peak_),
            static_cast<std::int64_t>(limit_), static_cast<std::int64_t>(taken_),  static_cast<std::int64_t>(fresh_)};
  }

  std::mutex& mutex() { return mutex_; }

 private:
  static std::size_t size_of(void* block) { return static_cast<Header*>(block)->bytes; }

  // The blocks to give up so that no more than so many bytes are kept: those that were given back longest ago.
  std::vector<void*> trim(std::size_t most) {
    std::size_t count = 0;
    for (; cached_ > most; ++count) cached_ -= size_of(free_[count]);
    const auto end = free_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<void*> leaving(free_.begin(), end);
    free_.erase(free_.begin(), end);
    return leaving;
  }

  void* fresh(std::size_t size) {
    const bool large = size >= 2 * kHuge;
    void* block = aligned(large ? kHuge : 64, large ? (size + kHuge - 1) / kHuge * kHuge : size);
    if (block && large) in_large_pages(block, size);
    if (block) {
      std::lock_guard lock(mutex_);
      ++fresh_;
    }
    return block;
  }

  std::mutex mutex_;
  std::vector<void*> free_;  // in the order in which they were given back
  std::size_t used_ = 0, cached_ = 0, peak_ = 0, limit_ = std::size_t{1} << 30, taken_ = 0, fresh_ = 0;
};

// Never destroyed: a tensor may be freed after the program's main function.
Pool& pool() {
  static Pool* const one = [] {
    static Pool* made = new Pool;
    around_fork([] { made->mutex().lock(); }, [] { made->mutex().unlock(); }, [] { made->mutex().unlock(); });
    return made;
  }();
  return *one;
}

// The structures of dlpack.h, version 0, which PyTorch takes over.
struct DLTensor {
  void* data;
  std::int32_t device_type, device_id, ndim;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};

struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor*);
};

// The head of a block that is handed out as a tensor; the numbers come after it.
struct alignas(64) Managed {
  DLManagedTensor handed;
  std::int64_t shape[8];
};

}  // namespace

void* take(std::size_t bytes) { return pool().take(bytes); }
void give(void* block) { pool().give(block); }

}  // namespace cv

extern "C" {

void* cv_managed_tensor(int32_t ndim, const int64_t* shape, int32_t code, int32_t bits) {
  if (ndim < 0 || ndim > 8) return nullptr;
  std::int64_t bytes = bits / 8;
  for (int32_t d = 0; d < ndim; ++d)
    if (shape[d] < 0 || __builtin_mul_overflow(bytes, shape[d], &bytes)) return nullptr;
  void* block = bytes > INT64_MAX / 2 ? nullptr : cv::take(static_cast<std::size_t>(bytes) + sizeof(cv::Managed));
  if (!block) return nullptr;
  auto* head = new (block) cv::Managed{};
  for (int32_t d = 0; d < ndim; ++d) head->shape[d] = shape[d];
  head->handed.tensor = {head + 1, 1,           0,       ndim, static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(bits),
                         1,        head->shape, nullptr, 0};
  head->handed.deleter = [](cv::DLManagedTensor* tensor) { cv::give(tensor); };
  return block;
}

void cv_in_large_pages(void* block, int64_t bytes) {
  const auto begin = (reinterpret_cast<std::uintptr_t>(block) + cv::kHuge - 1) / cv::kHuge * cv::kHuge;
  const auto end = (reinterpret_cast<std::uintptr_t>(block) + bytes) / cv::kHuge * cv::kHuge;
  if (bytes > 0 && begin < end) cv::in_large_pages(reinterpret_cast<void*>(begin), end - begin);
}

void* cv_take(int64_t bytes) { return bytes < 0 ? nullptr : cv::take(static_cast<std::size_t>(bytes)); }
void cv_give(void* block) {
  if (block) cv::give(block);
}
void cv_empty_cache(void) { cv::pool().empty(); }
void cv_memory_limit(int64_t bytes) { cv::pool().limit(bytes < 0 ? 0 : static_cast<std::size_t>(bytes)); }
cv_memory cv_memory_stats(void) { return cv::pool().stats(); }
}
