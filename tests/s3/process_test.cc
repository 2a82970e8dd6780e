#include "s3/process.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "temp_folder.h"

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

// It would keep what it was given as standard error open, for which callers of this program wait.
TEST(OutputOf, EndsWhatTheCommandHasStarted) {
  const TempFolder folder;
  const std::string pid_file = folder / "pid";
  const auto status =
      OutputOf("(sleep 100000 & echo $! >" + pid_file + "; wait) & wait", milliseconds(2000))
          .status();
  EXPECT_TRUE(status.IsCancelled()) << status;
  const std::string pid = ReadFile(pid_file);
  ASSERT_FALSE(pid.empty());
  const std::string stat = "/proc/" + pid.substr(0, pid.find('\n')) + "/stat";
  // Killed, it is gone once somebody has asked for its end.
  const auto lives = [&] {
    std::ifstream file(stat);
    std::string number, name, state;
    return (file >> number >> name >> state) && name == "(sleep)" && state != "Z";
  };
  for (int i = 0; lives() && i < 1000; ++i) std::this_thread::sleep_for(milliseconds(10));
  EXPECT_FALSE(lives());
}

}  // namespace
}  // namespace pomona
