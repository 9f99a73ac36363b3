// Memory that is given back to us and not to the system: a fresh page costs microseconds, more than computing what goes into it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cv {

void* take(std::size_t bytes);  // aligned to 64; null when there is none
void give(void* block);

// A workspace that is given back at the end of its scope.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::int64_t count) : data_(static_cast<T*>(take(static_cast<std::size_t>(count) * sizeof(T)))) {}
  ~Buffer() {
    if (data_) give(data_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  explicit operator bool() const { return data_; }
  T* get() const { return data_; }

 private:
  T* data_;
};

}  // namespace cv
