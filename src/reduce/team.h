// Threads that stay for many short pieces of work, with little time between one and the next.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace pomona::reduce {

// Threads: one at a time calls it.
class Team {
 public:
  // At most `threads`, of which the caller is one: fewer where the system grants no more.
  explicit Team(int threads);
  ~Team();

  // Calls body(i) once for each i < count, the last first. `body` does not throw.
  // It waits for no thread that has not begun a piece: where cores are wanting, the caller does all.
  void For(size_t count, const std::function<void(size_t)>& body);

 private:
  void Help();
  bool WorkOnOne();  // false where there is none to begin

  // The round of work in the upper half, pieces of it that nobody has begun in the lower.
  std::atomic<uint64_t> open_ = 0;
  std::atomic<size_t> done_ = 0;  // pieces of this round
  const std::function<void(size_t)>* body_ = nullptr;
  std::atomic<bool> over_ = false;
  std::vector<std::jthread> helpers_;
};

}  // namespace pomona::reduce
