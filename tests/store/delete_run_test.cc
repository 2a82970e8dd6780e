#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "pomona/published_output.h"
#include "refusal.h"
#include "store/folder_lock.h"
#include "store/layout.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

void Publish(const TempFolder& output, const std::string& id) {
  for (const OutputFolder* folder : kRunFolders) {
    output.Write(folder->Path(id) + "/part-00000", "data");
    output.Write(SuccessOf(*folder, id), "");
  }
}

bool IsWhole(const TempFolder& output, const std::string& id) {
  return std::ranges::all_of(kRunFolders, [&](const OutputFolder* folder) {
    return ReadFile(output / (folder->Path(id) + "/part-00000")) == "data" &&
           fs::exists(output / SuccessOf(*folder, id));
  });
}

bool IsGone(const TempFolder& output, const std::string& id) {
  return std::ranges::none_of(kRunFolders, [&](const OutputFolder* folder) {
    return fs::exists(output / folder->Path(id));
  });
}

TEST(DeleteRun, RemovesARunAndNothingElse) {
  const TempFolder output;
  for (const char* id : {"a", "a_b", "b"}) Publish(output, id);
  output.Write("features/csv/notes.txt", "mine");
  output.Write("_pomona/fragments/000003-0123456789abcdef.safetensors", "unfinished");
  const PublishedRun run = *RunToDelete(output.path(), "a");
  EXPECT_EQ(run.files, static_cast<int64_t>(2 * std::size(kRunFolders)));
  EXPECT_TRUE(run.published_ns);
  EXPECT_TRUE(IsWhole(output, "a"));
  ASSERT_TRUE(DeleteRun(output.path(), "a").ok());
  EXPECT_TRUE(IsGone(output, "a"));
  EXPECT_TRUE(IsWhole(output, "a_b") && IsWhole(output, "b"));
  EXPECT_EQ(ReadFile(output / "features/csv/notes.txt"), "mine");
  EXPECT_TRUE(fs::exists(output / "_pomona/fragments/000003-0123456789abcdef.safetensors"));
  EXPECT_FALSE(fs::exists(output / "_pomona/publishing"));
  fs::remove_all(output / "_pomona");
  ASSERT_TRUE(DeleteRun(output.path(), "b").ok());
  EXPECT_FALSE(fs::exists(output / "_pomona"));
}

TEST(DeleteRun, SaysThatThereIsNoRun) {
  const TempFolder output;
  const arrow::Status status = DeleteRun(output / "none", "a");
  EXPECT_TRUE(status.IsInvalid());
  EXPECT_EQ(status.message(), "no run a is published in " + (output / "none"));
  EXPECT_FALSE(fs::exists(output / "none"));
  EXPECT_TRUE(DeleteRun(output.path(), "").IsInvalid());
}

TEST(DeleteRun, FinishesWhatWasInterrupted) {
  const TempFolder output;
  Publish(output, "a");
  fs::remove_all(output / "run_info");
  EXPECT_FALSE(RunToDelete(output.path(), "a")->published_ns);
  ASSERT_TRUE(DeleteRun(output.path(), "a").ok());
  EXPECT_TRUE(IsGone(output, "a"));
  // The last folder was in the bin.
  output.Write("_pomona/publishing", "a\n");
  output.Write("_pomona/withdrawn/part-00000", "data");
  EXPECT_TRUE(DeleteRun(output.path(), "b").IsInvalid());
  ASSERT_TRUE(DeleteRun(output.path(), "a").ok());
  EXPECT_FALSE(fs::exists(output / "_pomona"));
  EXPECT_TRUE(DeleteRun(output.path(), "a").IsInvalid());
}

TEST(DeleteRun, LeavesWhatIsNotTheRuns) {
  const TempFolder output;
  Publish(output, "a");
  output.Write("errors/errors_a/notes.txt", "mine");
  const arrow::Status status = DeleteRun(output.path(), "a");
  EXPECT_TRUE(status.IsInvalid());
  EXPECT_NE(status.message().find(output / "errors/errors_a/notes.txt: no file of the run a"),
            std::string::npos)
      << status;
  EXPECT_TRUE(IsWhole(output, "a"));
}

TEST(DeleteRun, LeadsNowhereElse) {
  const TempFolder folder, output;
  folder.Write("features_x/part-00000", "1");
  folder.Write("precious", "1");
  EXPECT_TRUE(DeleteRun(output.path(), "x/../../" + folder.path()).IsInvalid());
  Publish(output, "x");
  // A folder of folders that is a link, a run's folder that is one.
  fs::remove_all(output / "features/csv");
  fs::create_directory_symlink(folder.path(), output / "features/csv");
  EXPECT_TRUE(DeleteRun(output.path(), "x").IsInvalid());
  fs::remove(output / "features/csv");
  fs::remove_all(output / "errors/errors_x");
  fs::create_directory_symlink(folder / "features_x", output / "errors/errors_x");
  EXPECT_TRUE(DeleteRun(output.path(), "x").ok());
  EXPECT_FALSE(fs::is_symlink(output / "errors/errors_x"));
  EXPECT_EQ(ReadFile(folder / "features_x/part-00000"), "1");
  EXPECT_EQ(ReadFile(folder / "precious"), "1");
}

TEST(DeleteRun, KeepsAwayFromARunAtWork) {
  const TempFolder output;
  Publish(output, "a");
  const auto lock = *FolderLock::Take(output / "_pomona");
  EXPECT_EQ(RefusalOf(DeleteRun(output.path(), "a")), RunRefusal::kOutputBusy);
  EXPECT_TRUE(IsWhole(output, "a"));
}

}  // namespace
}  // namespace pomona
