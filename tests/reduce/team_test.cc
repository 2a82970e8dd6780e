#include "reduce/team.h"

#include <gtest/gtest.h>

#include <atomic>
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
  Team team(2);
  for (int round = 0; round < 100; ++round) {
    std::atomic<int> begun = 0;
    team.For(2, [&](size_t) {
      ++begun;
      while (begun < 2) std::this_thread::yield();
    });
    EXPECT_EQ(begun, 2);
  }
}

}  // namespace
}  // namespace pomona::reduce
