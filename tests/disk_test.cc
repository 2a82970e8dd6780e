#include "disk.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

TEST(ScratchFolder, GoesWithItsHolder) {
  const TempFolder above;
  std::optional<ScratchFolder> kept(*ScratchFolder::Make(above.path()));
  {
    const ScratchFolder other = *ScratchFolder::Make(above.path());
    EXPECT_NE(other.path(), kept->path());
    EXPECT_TRUE(fs::exists(other.path()));
    std::ofstream(other.path() + "/file") << "x";
  }
  EXPECT_TRUE(fs::exists(kept->path()));
  kept.reset();
  EXPECT_TRUE(fs::is_empty(above.path()));
}

TEST(ScratchFolder, OfAKilledProcessGoesWithTheNext) {
  const TempFolder above;
  above.Write("pomona-somebody's/file", "x");
  const ScratchFolder alive = *ScratchFolder::Make(above.path());
  const pid_t child = fork();
  if (child == 0) {
    auto folder = ScratchFolder::Make(above.path());
    std::ofstream(folder->path() + "/file") << "x";
    _exit(0);  // as when killed: nothing is cleaned up
  }
  int status = 0;
  waitpid(child, &status, 0);
  const auto count = [&] {
    return std::distance(fs::directory_iterator(above.path()), fs::directory_iterator());
  };
  ASSERT_EQ(count(), 3);
  const ScratchFolder next = *ScratchFolder::Make(above.path());
  EXPECT_EQ(count(), 3);
  EXPECT_TRUE(fs::exists(alive.path()));
  EXPECT_TRUE(fs::exists(next.path()));
  EXPECT_TRUE(fs::exists(above / "pomona-somebody's/file"));
}

}  // namespace
}  // namespace pomona
