// Large buffers whose memory goes back to the system as soon as they are done with.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <span>
#include <utility>

namespace pomona {

// So many floats, zero at first, in pages of their own. malloc() may keep what large buffers leave
// to it, which then counts as this process's until its end.
//
// Errors: std::bad_alloc, as other containers.
class PageBuffer {
 public:
  PageBuffer() = default;
  explicit PageBuffer(size_t count) : count_(count) {
    if (count == 0) return;
    void* const pages = mmap(nullptr, count * sizeof(float), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw std::bad_alloc();
    data_ = static_cast<float*>(pages);
  }
  ~PageBuffer() {
    if (data_ != nullptr) munmap(data_, count_ * sizeof(float));
  }
  PageBuffer(PageBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  PageBuffer& operator=(PageBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }

  std::span<float> values() { return {data_, count_}; }
  std::span<const float> values() const { return {data_, count_}; }

 private:
  float* data_ = nullptr;
  size_t count_ = 0;
};

}  // namespace pomona
