// What is asked of the operating system: aligned memory in large pages, and word of a fork. Windows has no fork.
#pragma once

#include <cstddef>
#include <cstdlib>

#ifdef _WIN32
#include <malloc.h>
#else
#include <pthread.h>
#include <sys/mman.h>
#endif

namespace cv {

#ifdef _WIN32
inline void* aligned(std::size_t alignment, std::size_t bytes) { return _aligned_malloc(bytes, alignment); }
inline void release(void* block) { _aligned_free(block); }
inline void in_large_pages(void*, std::size_t) {}
inline void around_fork(void (*)(), void (*)(), void (*)()) {}
#else
inline void* aligned(std::size_t alignment, std::size_t bytes) { return std::aligned_alloc(alignment, bytes); }
inline void release(void* block) { std::free(block); }
inline void in_large_pages([[maybe_unused]] void* block, [[maybe_unused]] std::size_t bytes) {
#ifdef MADV_HUGEPAGE
  madvise(block, bytes, MADV_HUGEPAGE);
#endif
}
inline void around_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) {
  pthread_atfork(before, in_parent, in_child);
}
#endif

}  // namespace cv
