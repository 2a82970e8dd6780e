// How long many single things took.
#pragma once

#include <array>
#include <cstdint>
#include <map>

namespace pomona {

// Durations counted in steps of an eighth of a doubling: those of all workers can be added up, a
// percentile is right to 5 %, and a doubling is whole steps. 2 KiB, whatever is counted.
//
// Threads: one at a time, but for AddShared() and Load().
class Durations {
 public:
  // Microseconds from 2^0 on; what takes longer than 2^kDoublings of them (an hour) is in the last
  // step.
  static constexpr int kDoublings = 32;
  static constexpr int kSteps = 8 * kDoublings;

  void Add(double seconds);

  // Adds to the time of what was counted, in whichever of them.
  void Lengthen(double seconds);

  int64_t count() const;
  double seconds() const { return 1e-9 * static_cast<double>(nanoseconds_); }  // of all together

  // How many took less than 2^doubling microseconds. REQUIRES: 0 <= doubling <= kDoublings.
  int64_t CountBelow(int doubling) const;

  // What `share` of them took no longer than, in seconds. REQUIRES: count() > 0.
  double Percentile(double share) const;

  Durations& operator+=(const Durations& other);
  Durations& operator-=(const Durations& other);  // REQUIRES: `other` is a part of this

  // Add() and a copy, from any number of threads at once and without a lock. A copy may lack what is
  // being added.
  void AddShared(double seconds);
  Durations Load() const;

  // All of it, for texts: how many by step, without empty ones, and the nanoseconds of all.
  std::map<int, int64_t> Steps() const;
  int64_t nanoseconds() const { return nanoseconds_; }
  // The way back; steps that there are not are left out.
  static Durations From(const std::map<int, int64_t>& steps, int64_t nanoseconds);

 private:
  std::array<int64_t, kSteps> steps_{};
  int64_t nanoseconds_ = 0;
};

}  // namespace pomona
