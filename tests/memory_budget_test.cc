#include "memory_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace pomona {
namespace {

TEST(MemoryBudget, RefusesWhatIsMoreThanAll) {
  MemoryBudget budget(100, MemoryBudget::Excess::kRefused);
  EXPECT_FALSE(budget.Take(101));
  EXPECT_TRUE(budget.Take(100));
  EXPECT_TRUE(budget.Take(100)) << "the claim before it is gone";
}

TEST(MemoryBudget, WhatIsMoreThanAllMayComeAlone) {
  MemoryBudget budget(100, MemoryBudget::Excess::kAlone);
  auto large = budget.Take(1000);
  ASSERT_TRUE(large);
  std::atomic<bool> returned = false;
  std::thread other([&] {
    EXPECT_TRUE(budget.Take(1));
    EXPECT_TRUE(returned);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  returned = true;
  large.reset();
  other.join();
}

TEST(MemoryBudget, AClaimThatIsMovedIsReturnedOnce) {
  MemoryBudget budget(100, MemoryBudget::Excess::kRefused);
  MemoryBudget::Claim kept;
  EXPECT_FALSE(kept);
  kept = *budget.Take(60);
  EXPECT_TRUE(kept);
  const MemoryBudget::Claim moved = std::move(kept);
  EXPECT_TRUE(budget.Take(40));
  {
    MemoryBudget::Claim rest = *budget.Take(40);
    rest = {};
    EXPECT_TRUE(budget.Take(40));
  }
}

TEST(MemoryBudget, ThreadsTogetherStayWithinIt) {
  MemoryBudget budget(1000, MemoryBudget::Excess::kRefused);
  std::atomic<int64_t> taken = 0, most = 0;
  std::vector<std::thread> threads;
  for (int t = 1; t <= 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const int64_t bytes = (t * 131 + i * 37) % 1000 + 1;
        const auto claim = budget.Take(bytes);
        const int64_t now = taken += bytes;
        for (int64_t before = most; before < now && !most.compare_exchange_weak(before, now);) {
        }
        taken -= bytes;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, 1000);
  EXPECT_GE(most, 991);  // alone the largest is that much
}

// Small ones that come later do not keep a large one waiting for ever.
TEST(MemoryBudget, ServesInOrder) {
  MemoryBudget budget(100, MemoryBudget::Excess::kRefused);
  auto first = budget.Take(60);
  std::atomic<int> order = 0;
  int large = 0, small = 0;
  std::thread large_thread([&] {
    const auto claim = budget.Take(100);
    large = ++order;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::thread small_thread([&] {
    const auto claim = budget.Take(10);
    small = ++order;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(order, 0);
  first.reset();
  large_thread.join();
  small_thread.join();
  EXPECT_EQ(large, 1);
  EXPECT_EQ(small, 2);
}

}  // namespace
}  // namespace pomona
