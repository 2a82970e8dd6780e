#include "reduce/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace pomona::reduce {
namespace {

TEST(TeamTest, CallsEachOnceInEveryRound) {
  for (const int threads : {1, 2, 5}) {
    Team team(threads);
    std::vector<std::atomic<int>> calls(30);
    for (int round = 1; round <= 1000; ++round) {
      const size_t count = round % calls.size();
      for (auto& call : calls) call = 0;
      team.For(count, [&](size_t i) { ++calls[i]; });
      for (size_t i = 0; i < calls.size(); ++i) ASSERT_EQ(calls[i], i < count) << i;
    }
  }
}

TEST(TeamTest, WithoutWorkItEnds) { Team team(3); }

// Each waits for the other, so that no thread can do both.
TEST(TeamTest, ThreadsWorkTogether) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  Team team(2);
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> begun = 0, alone = 0;
    team.For(2, [&](size_t) {
      ++begun;
      while (begun < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
      if (begun < 2) ++alone;
    });
    ASSERT_EQ(alone, 0);
  }
}

TEST(TeamTest, OfNoneIsTheCallerAlone) {
  for (const int threads : {0, -1}) {
    int calls = 0;
    Team(threads).For(3, [&](size_t) { ++calls; });
    EXPECT_EQ(calls, 3);
  }
}

}  // namespace
}  // namespace pomona::reduce
