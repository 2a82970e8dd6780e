#include "tasks.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <new>
#include <set>
#include <thread>

namespace pomona {
namespace {

TEST(ParallelFor, CallsEachOnce) {
  for (const int threads : {1, 2, 5}) {
    std::atomic<int> counts[20] = {};
    const arrow::Status status = ParallelFor(20, threads, {}, [&](size_t i, int thread) {
      ++counts[i];
      EXPECT_GE(thread, 0);
      EXPECT_LT(thread, threads);
      return arrow::Status::OK();
    });
    EXPECT_TRUE(status.ok());
    for (const auto& count : counts) EXPECT_EQ(count, 1);
  }
}

TEST(ParallelFor, StopsAtTheFirstFailure) {
  std::set<size_t> called;
  const arrow::Status status = ParallelFor(3, 1, {}, [&](size_t i, int) {
    called.insert(i);
    return i == 1 ? arrow::Status::IOError("disk") : arrow::Status::OK();
  });
  EXPECT_EQ(status.message(), "disk");
  EXPECT_EQ(called, (std::set<size_t>{0, 1}));
}

TEST(ParallelFor, WhatIsThrownIsAFailure) {
  const auto nothing = [](size_t, int) { return arrow::Status::OK(); };
  const auto throws = [](size_t i, int) -> arrow::Status {
    if (i == 0) throw std::bad_alloc();
    return {};
  };
  EXPECT_TRUE(ParallelFor(2, 2, {}, throws).IsOutOfMemory());
  EXPECT_TRUE(ParallelFor(1, 1, {}, nothing, [] { throw std::bad_alloc(); }).IsOutOfMemory());
}

TEST(ParallelFor, PollsAndIsCancelled) {
  std::atomic<bool> cancel = false;
  std::atomic<int> later = 0;
  const auto body = [&](size_t i, int) {
    if (i == 0) {
      while (!cancel) std::this_thread::yield();
    } else {
      ++later;
    }
    return arrow::Status::OK();
  };
  EXPECT_TRUE(ParallelFor(2, 1, &cancel, body, [&] { cancel = true; }).IsCancelled());
  EXPECT_EQ(later, 0);
}

TEST(ParallelFor, WhatWasDoneBeforeTheRequestCounts) {
  std::atomic<bool> cancel = false;
  const auto body = [&](size_t i, int) {
    cancel = i == 1;
    return arrow::Status::OK();
  };
  EXPECT_TRUE(ParallelFor(2, 1, &cancel, body).ok());
}

}  // namespace
}  // namespace pomona
