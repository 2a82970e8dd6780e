#include "s3/process.h"

#include <gtest/gtest.h>

#include <csignal>

namespace pomona {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{60'000};

TEST(OutputOf, IsWhatTheCommandPrints) {
  EXPECT_EQ(*OutputOf("printf 'a b\\n'; echo c >&2", kLong), "a b\n");
  EXPECT_EQ(OutputOf("yes apple | head -n 100000", kLong)->size(), 600'000u);
  EXPECT_EQ(*OutputOf("exec 1>&-", kLong), "");
}

TEST(OutputOf, SaysHowACommandFailed) {
  EXPECT_EQ(OutputOf("echo a; exit 3", kLong).status().message(), "it failed with exit code 3");
  EXPECT_EQ(OutputOf("kill -9 $$", kLong).status().message(), "it was killed by signal 9");
  EXPECT_TRUE(OutputOf("yes", kLong).status().IsIOError());
}

// Python ignores SIGPIPE, and what a process ignores its children would too.
TEST(OutputOf, LetsSignalsEndTheCommand) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto status = OutputOf("kill -PIPE $$; echo lived", kLong).status();
  std::signal(SIGPIPE, before);
  EXPECT_EQ(status.message(), "it was killed by signal 13");
}

// If they were, the test would not come to an end either, but for the last one.
TEST(OutputOf, IsNotWaitedForWithoutEnd) {
  EXPECT_TRUE(OutputOf("exec sleep 100000", milliseconds(50)).status().IsCancelled());
  EXPECT_TRUE(OutputOf("exec sleep 100000 >&2", milliseconds(50)).status().IsCancelled());
  EXPECT_TRUE(OutputOf("echo a; sleep 10 & wait", milliseconds(50)).status().IsCancelled());
}

}  // namespace
}  // namespace pomona
