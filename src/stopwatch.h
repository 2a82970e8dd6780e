#pragma once

#include <chrono>

namespace pomona {

// Adds the time since the last lap to one of its owner's sums.
class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;

  void Lap(double* seconds) {
    const Clock::time_point now = Clock::now();
    *seconds += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  Clock::time_point last_ = Clock::now();
};

}  // namespace pomona
