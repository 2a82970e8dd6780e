#include "tasks.h"

#include <gtest/gtest.h>

#include <new>
#include <thread>

namespace pomona {
namespace {

TEST(Tasks, RunsEachOnce) {
  for (const int threads : {1, 2, 5}) {
    std::atomic<int> counts[20] = {};
    std::vector<Task> tasks;
    for (auto& count : counts) {
      tasks.push_back([&count] {
        ++count;
        return arrow::Status::OK();
      });
    }
    EXPECT_TRUE(RunTasks(tasks, threads, {}, [] {}).ok());
    for (const auto& count : counts) EXPECT_EQ(count, 1);
  }
}

TEST(Tasks, StopsAtTheFirstFailure) {
  int later = 0;
  const std::vector<Task> tasks = {[] { return arrow::Status::OK(); },
                                   [] { return arrow::Status::IOError("disk"); },
                                   [&] {
                                     ++later;
                                     return arrow::Status::OK();
                                   }};
  EXPECT_EQ(RunTasks(tasks, 1, {}, [] {}).message(), "disk");
  EXPECT_EQ(later, 0);
}

TEST(Tasks, WhatTheyThrowIsAFailure) {
  const std::vector<Task> tasks = {[]() -> arrow::Status { throw std::bad_alloc(); },
                                   [] { return arrow::Status::OK(); }};
  EXPECT_TRUE(RunTasks(tasks, 2, {}, [] {}).IsOutOfMemory());
  const std::vector<Task> fine = {[] { return arrow::Status::OK(); }};
  EXPECT_TRUE(RunTasks(fine, 1, {}, [] { throw std::bad_alloc(); }).IsOutOfMemory());
}

TEST(Tasks, PollsAndCancels) {
  std::atomic<bool> cancel = false;
  RunHooks hooks;
  hooks.cancel = &cancel;
  int later = 0;
  const std::vector<Task> tasks = {[&] {
                                     while (!cancel) std::this_thread::yield();
                                     std::this_thread::sleep_for(std::chrono::milliseconds(250));
                                     return arrow::Status::OK();
                                   },
                                   [&] {
                                     ++later;
                                     return arrow::Status::OK();
                                   }};
  EXPECT_TRUE(RunTasks(tasks, 1, hooks, [&] { cancel = true; }).IsCancelled());
  EXPECT_EQ(later, 0);
}

}  // namespace
}  // namespace pomona
