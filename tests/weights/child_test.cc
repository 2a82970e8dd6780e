#include "child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <vector>

namespace pomona {
namespace {

TEST(InChild, GivesTheStatusBack) {
  EXPECT_TRUE(InChild([] { return arrow::Status::OK(); }).ok());
  const std::string message(100'000, 'x');  // more than a pipe holds
  const arrow::Status status = InChild([&] { return arrow::Status::KeyError(message); });
  EXPECT_TRUE(status.IsKeyError());
  EXPECT_EQ(status.message(), message);
}

TEST(InChild, NeedsNoStandardStreams) {
  int kept[3];
  for (int fd = 0; fd < 3; ++fd) {
    kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);  // none of the numbers that are to be free
    close(fd);
  }
  const arrow::Status status = InChild([] { return arrow::Status::KeyError("text"); });
  for (int fd = 0; fd < 3; ++fd) {
    dup2(kept[fd], fd);
    close(kept[fd]);
  }
  EXPECT_TRUE(status.IsKeyError()) << status;
}

TEST(InChild, OutlivesIt) {
  const auto killed = InChild([]() -> arrow::Status {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would handle it
    std::raise(SIGSEGV);
    return arrow::Status::OK();
  });
  EXPECT_TRUE(killed.IsInvalid());
  EXPECT_EQ(killed.message(), "reading it ends in a crash (Segmentation fault)");
  EXPECT_TRUE(InChild([]() -> arrow::Status { std::_Exit(1); }).IsInvalid());
  EXPECT_TRUE(InChild([] {
                throw std::length_error("vector");
                return arrow::Status::OK();
              }).IsOutOfMemory());
}

TEST(InChild, HasNotAllTime) {
  const auto status = InChild(
      []() -> arrow::Status {
        const volatile bool computes = true;
        while (computes) {
        }
        return arrow::Status::OK();
      },
      {.seconds = 1});
  EXPECT_TRUE(status.IsInvalid());
  EXPECT_EQ(status.message(), "reading it ends in a crash (CPU time limit exceeded)");
}

TEST(InChild, HasNotAllMemory) {
  const auto take = [](size_t bytes) {
    return InChild([bytes] {
      const std::vector<char> memory(bytes, 'x');
      return memory[bytes / 2] == 'x' ? arrow::Status::OK() : arrow::Status::UnknownError("");
    });
  };
  EXPECT_TRUE(take(500 << 20).ok());
  EXPECT_FALSE(take(size_t{1100} << 20).ok());  // a sanitizer dies of it
}

}  // namespace
}  // namespace pomona
