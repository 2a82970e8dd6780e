#include "pomona/durations.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

namespace pomona {
namespace {

constexpr int kStepsADoubling = Durations::kSteps / Durations::kDoublings;
constexpr double kShortest = 1e-6;  // seconds, of step 0
constexpr double kLongest = 1e9;    // a sum of them is still a number

double Bounded(double seconds) {
  return seconds > 0 ? std::min(seconds, kLongest) : 0;  // which NaN is not
}

size_t StepOf(double seconds) {
  const double step = kStepsADoubling * std::log2(std::max(seconds, kShortest) / kShortest);
  return static_cast<size_t>(std::min<double>(step, Durations::kSteps - 1));
}

int64_t Nanoseconds(double seconds) { return std::llround(1e9 * seconds); }

std::atomic_ref<int64_t> Shared(const int64_t& number) {
  return std::atomic_ref(const_cast<int64_t&>(number));  // takes no const before C++26
}

}  // namespace

void Durations::Add(double seconds) {
  seconds = Bounded(seconds);
  ++steps_[StepOf(seconds)];
  nanoseconds_ += Nanoseconds(seconds);
}

void Durations::Lengthen(double seconds) { nanoseconds_ += Nanoseconds(Bounded(seconds)); }

int64_t Durations::count() const {
  return std::accumulate(steps_.begin(), steps_.end(), int64_t{0});
}

int64_t Durations::CountBelow(int doubling) const {
  return std::accumulate(steps_.begin(), steps_.begin() + kStepsADoubling * doubling, int64_t{0});
}

double Durations::Percentile(double share) const {
  const auto wanted = static_cast<int64_t>(std::ceil(share * static_cast<double>(count())));
  int64_t found = steps_[0];
  size_t step = 0;
  while (found < wanted && step + 1 < steps_.size()) found += steps_[++step];
  return kShortest * std::exp2((static_cast<double>(step) + 0.5) / kStepsADoubling);
}

Durations& Durations::operator+=(const Durations& other) {
  for (size_t step = 0; step < steps_.size(); ++step) steps_[step] += other.steps_[step];
  nanoseconds_ += other.nanoseconds_;
  return *this;
}

Durations& Durations::operator-=(const Durations& other) {
  for (size_t step = 0; step < steps_.size(); ++step) steps_[step] -= other.steps_[step];
  nanoseconds_ -= other.nanoseconds_;
  return *this;
}

void Durations::AddShared(double seconds) {
  seconds = Bounded(seconds);
  Shared(steps_[StepOf(seconds)]).fetch_add(1, std::memory_order_relaxed);
  Shared(nanoseconds_).fetch_add(Nanoseconds(seconds), std::memory_order_relaxed);
}

Durations Durations::Load() const {
  Durations copy;
  for (size_t step = 0; step < steps_.size(); ++step) {
    copy.steps_[step] = Shared(steps_[step]).load(std::memory_order_relaxed);
  }
  copy.nanoseconds_ = Shared(nanoseconds_).load(std::memory_order_relaxed);
  return copy;
}

std::map<int, int64_t> Durations::Steps() const {
  std::map<int, int64_t> steps;
  for (size_t step = 0; step < steps_.size(); ++step) {
    if (steps_[step] != 0) steps[static_cast<int>(step)] = steps_[step];
  }
  return steps;
}

Durations Durations::From(const std::map<int, int64_t>& steps, int64_t nanoseconds) {
  Durations durations;
  for (const auto& [step, count] : steps) {
    if (step >= 0 && step < kSteps) durations.steps_[static_cast<size_t>(step)] = count;
  }
  durations.nanoseconds_ = nanoseconds;
  return durations;
}

}  // namespace pomona
