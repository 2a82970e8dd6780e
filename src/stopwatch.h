#pragma once

#include <chrono>

#include "pomona/durations.h"

namespace pomona {

// Tells the time since the last lap.
class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;

  // The seconds since then.
  double Lap() {
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

  // Adds them to what its owner has of them.
  void Lap(double* seconds) { *seconds += Lap(); }
  void Lap(Durations* durations) { durations->Add(Lap()); }

 private:
  Clock::time_point last_ = Clock::now();
};

}  // namespace pomona
