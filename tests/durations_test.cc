#include "pomona/durations.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>
#include <vector>

namespace pomona {
namespace {

TEST(Durations, CountsAndAddsUp) {
  Durations durations;
  for (int i = 1; i <= 1000; ++i) durations.Add(1e-3 * i);
  EXPECT_EQ(durations.count(), 1000);
  EXPECT_NEAR(durations.seconds(), 500.5, 1e-6);
  // 2^16 us are 65.536 ms, 2^20 are 1.048576 s.
  EXPECT_EQ(durations.CountBelow(0), 0);
  EXPECT_EQ(durations.CountBelow(16), 65);
  EXPECT_EQ(durations.CountBelow(20), 1000);
  EXPECT_EQ(durations.CountBelow(Durations::kDoublings), 1000);
  EXPECT_NEAR(durations.Percentile(0.5), 0.5, 0.5 * 0.05);
  EXPECT_NEAR(durations.Percentile(0.99), 0.99, 0.99 * 0.05);
  EXPECT_NEAR(durations.Percentile(1), 1, 0.05);
}

TEST(Durations, TakesWhatNoClockGives) {
  Durations durations;
  for (const double seconds :
       {0.0, -1.0, 1e-12, std::nan(""), 1e300, std::numeric_limits<double>::infinity()}) {
    durations.Add(seconds);
  }
  EXPECT_EQ(durations.count(), 6);
  EXPECT_EQ(durations.CountBelow(1), 4);
  EXPECT_EQ(durations.CountBelow(31), 4);
  EXPECT_NEAR(durations.seconds(), 2e9, 1);
}

TEST(Durations, ASumLessAPartIsTheRest) {
  Durations a, b;
  for (int i = 0; i < 100; ++i) (i % 3 ? a : b).Add(0.0017 * i);
  Durations both = a;
  both += b;
  EXPECT_EQ(both.count(), 100);
  both -= b;
  EXPECT_EQ(both.Steps(), a.Steps());
  EXPECT_EQ(both.nanoseconds(), a.nanoseconds());
}

TEST(Durations, GoesThroughSteps) {
  Durations durations;
  for (const double seconds : {0.001, 0.002, 0.002, 7.0}) durations.Add(seconds);
  const Durations back = Durations::From(durations.Steps(), durations.nanoseconds());
  EXPECT_EQ(back.Steps(), durations.Steps());
  EXPECT_EQ(back.seconds(), durations.seconds());
  // What comes from elsewhere may be anything.
  EXPECT_EQ(Durations::From({{-1, 5}, {1 << 30, 5}, {3, 2}}, 1).count(), 2);
}

TEST(Durations, IsSharedWithoutLoss) {
  Durations durations;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) durations.AddShared(0.001);
    });
  }
  EXPECT_LE(durations.Load().count(), 40'000);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(durations.Load().count(), 40'000);
  EXPECT_NEAR(durations.Load().seconds(), 40, 1e-6);
}

}  // namespace
}  // namespace pomona
