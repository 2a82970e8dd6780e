#include "groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

namespace pomona::audit {
namespace {

TEST(GroupsTest, TheFirstRowStandsForItsGroup) {
  Groups groups(6);
  groups.Join(4, 5);
  groups.Join(5, 2);
  groups.Join(1, 1);
  for (const uint32_t row : {0u, 1u, 3u}) EXPECT_EQ(groups.First(row), row);
  for (const uint32_t row : {2u, 4u, 5u}) EXPECT_EQ(groups.First(row), 2u);
  groups.Join(0, 4);
  EXPECT_EQ(groups.First(5), 0u);
}

// A chain whose links are joined by many threads at once, in any order.
TEST(GroupsTest, ThreadsJoinAtOnce) {
  constexpr uint32_t kRows = 20000;
  Groups groups(kRows);
  std::vector<std::jthread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::vector<uint32_t> links;
      for (uint32_t row = t; row + 3 < kRows; row += 4) links.push_back(row);
      std::shuffle(links.begin(), links.end(), std::mt19937(t));
      for (const uint32_t row : links) groups.Join(row, row + 3);
    });
  }
  threads.clear();
  for (uint32_t row = 0; row < kRows; ++row) ASSERT_EQ(groups.First(row), row % 3);
}

}  // namespace
}  // namespace pomona::audit
