#include "disk.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>

#include "machine.h"
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
  // Of a user who names his folders alike: one is longer, one is open to others.
  const std::string prefix = "pomona-" + Machine::This().host + '-';
  for (const char* name : {"results", "images"}) above.Write(prefix + name + "/file", "x");
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
  ASSERT_EQ(count(), 5);
  const ScratchFolder next = *ScratchFolder::Make(above.path());
  EXPECT_EQ(count(), 5);
  EXPECT_TRUE(fs::exists(alive.path()));
  EXPECT_TRUE(fs::exists(next.path()));
  EXPECT_TRUE(fs::exists(above / "pomona-somebody's/file"));
  for (const char* name : {"results", "images"}) {
    EXPECT_TRUE(fs::exists(above / (prefix + name) + "/file"));
  }
}

arrow::Status WriteNew(const std::string& path) {
  return ReplaceFile(path, [](OutputFile& file) { return file.Write("new", 3); });
}

TEST(ReplaceFile, MakesAFileOrReplacesOne) {
  const TempFolder folder;
  const std::string path = folder / "file";
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(CheckReplaceable(path).ok());
    ASSERT_TRUE(WriteNew(path).ok());
    EXPECT_EQ(ReadFile(path), "new");
    folder.Write("file", "old");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(ReplaceFile, LeavesAloneWhatIsNoFile) {
  const TempFolder folder;
  folder.Write("file", "old");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  fs::create_directory(folder / "folder");
  fs::create_symlink("file", folder / "link");
  fs::create_symlink("none", folder / "dangling");
  for (const char* name : {"pipe", "folder", "link", "dangling"}) {
    const fs::file_type before = fs::symlink_status(folder / name).type();
    for (const arrow::Status& status : {CheckReplaceable(folder / name), WriteNew(folder / name)}) {
      EXPECT_TRUE(status.IsIOError()) << status;
      EXPECT_NE(status.message().find("only regular files are replaced"), std::string::npos);
    }
    EXPECT_EQ(fs::symlink_status(folder / name).type(), before) << name;
  }
  EXPECT_EQ(ReadFile(folder / "file"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 5);
  EXPECT_TRUE(CheckReplaceable("/dev/stdout").IsIOError());
}

TEST(ReplaceFile, SaysBeforeThatItCannot) {
  const TempFolder folder;
  for (const arrow::Status& status :
       {CheckReplaceable(folder / "none/file"), WriteNew(folder / "none/file")}) {
    EXPECT_TRUE(status.IsIOError());
    EXPECT_NE(status.message().find("cannot create " + folder.path() + "/none/file: No such"),
              std::string::npos)
        << status;
  }
}

}  // namespace
}  // namespace pomona
