// Groups of rows that are connected, directly or by way of others.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace pomona::audit {

// Each row belongs to the group that its first row stands for.
//
// Threads: any number may join at once; the groups do not depend on the order.
class Groups {
 public:
  explicit Groups(size_t rows) : above_(rows) {
    for (size_t i = 0; i < rows; ++i) above_[i] = static_cast<uint32_t>(i);
  }

  // The first row of this one's group so far.
  uint32_t First(uint32_t row) {
    while (true) {
      uint32_t above = above_[row];
      if (above == row) return row;
      // Shortens the way for the next call; that another thread did so meanwhile is as good.
      const uint32_t beyond = above_[above];
      above_[row].compare_exchange_weak(above, beyond);
      row = beyond;
    }
  }

  void Join(uint32_t a, uint32_t b) {
    while (true) {
      a = First(a);
      b = First(b);
      if (a == b) return;
      if (a > b) std::swap(a, b);
      uint32_t itself = b;
      if (above_[b].compare_exchange_strong(itself, a)) return;
    }
  }

 private:
  std::vector<std::atomic<uint32_t>> above_;  // never above itself, so ways end
};

}  // namespace pomona::audit
