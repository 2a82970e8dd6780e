#include "workspace.h"

#include <gtest/gtest.h>

#include "layout.h"
#include "refusal.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

TEST(Workspace, PublishesWholeFoldersAndCleansUp) {
  const TempFolder output;
  auto workspace = *Workspace::Open(output / "new/folder", "id", false);
  ASSERT_TRUE(workspace->WritePart(kErrors, 0, "csv", "a\n").ok());
  ASSERT_TRUE(workspace->WritePart(kRunInfo, 0, "json", "{}\n").ok());
  EXPECT_FALSE(fs::exists(output / "new/folder/errors"));
  ASSERT_TRUE(workspace->Publish({kErrors, kRunInfo}).ok());
  EXPECT_EQ(ReadFile(output / "new/folder/errors/errors_id/part-00000.csv"), "a\n");
  EXPECT_TRUE(fs::exists(output / "new/folder/errors/errors_id/_SUCCESS"));
  EXPECT_TRUE(fs::exists(output / "new/folder/run_info/run_info_id/_SUCCESS"));
  EXPECT_FALSE(fs::exists(output / "new/folder/_pomona"));
}

TEST(Workspace, IsHeldByOne) {
  const TempFolder output;
  auto first = *Workspace::Open(output.path(), "a", false);
  EXPECT_EQ(RefusalOf(Workspace::Open(output.path(), "b", false).status()),
            RunRefusal::kOutputBusy);
  first.reset();
  EXPECT_TRUE(Workspace::Open(output.path(), "b", false).ok());
}

TEST(Workspace, DropsUnpublishedPartsButKeepsFragmentsUnlessFresh) {
  const TempFolder output;
  {
    auto workspace = *Workspace::Open(output.path(), "a", false);
    ASSERT_TRUE(workspace->WritePart(kErrors, 0, "csv", "stale").ok());
    ASSERT_TRUE(OutputFile::Create(workspace->FragmentPath(3, "0123456789abcdefgh")).ok());
  }
  const std::string fragment = output / "_pomona/fragments/000003-0123456789abcdef.safetensors";
  ASSERT_TRUE(fs::exists(fragment));
  ASSERT_TRUE(Workspace::Open(output.path(), "a", false).ok());
  EXPECT_TRUE(fs::exists(fragment));
  EXPECT_FALSE(fs::exists(output / "_pomona/publish"));
  ASSERT_TRUE(Workspace::Open(output.path(), "a", true).ok());
  EXPECT_FALSE(fs::exists(fragment));
}

TEST(Workspace, WithdrawsARunThatDiedWhileItPublished) {
  const TempFolder output;
  const auto die_publishing = [&](const std::string& journal) {
    output.Write("errors/errors_a/part-00000.csv", "");
    output.Write("_pomona/publishing", journal);
  };
  die_publishing("a\n");
  ASSERT_TRUE(Workspace::Open(output.path(), "b", false).ok());
  EXPECT_FALSE(fs::exists(output / "errors/errors_a"));
  EXPECT_FALSE(fs::exists(output / "_pomona/publishing"));

  // The last folder stood in its place already: the run is published.
  output.Write("run_info/run_info_a/part-00000.json", "");
  die_publishing("a\n");
  ASSERT_TRUE(Workspace::Open(output.path(), "b", false).ok());
  EXPECT_TRUE(fs::exists(output / "errors/errors_a"));
  EXPECT_FALSE(fs::exists(output / "_pomona/publishing"));

  // A journal cut short never had a folder moved after it.
  fs::remove_all(output / "run_info");
  die_publishing("a");
  ASSERT_TRUE(Workspace::Open(output.path(), "b", false).ok());
  EXPECT_TRUE(fs::exists(output / "errors/errors_a"));
}

TEST(Workspace, LeavesFoldersAloneThatItDidNotMake) {
  const TempFolder output;
  output.Write("features/csv/features_a/part-00000.csv", "another program's");
  const auto opened = Workspace::Open(output.path(), "a", false);
  EXPECT_TRUE(opened.status().IsInvalid());
  EXPECT_NE(opened.status().message().find("features/csv/features_a is there already"),
            std::string::npos)
      << opened.status();
  EXPECT_EQ(ReadFile(output / "features/csv/features_a/part-00000.csv"), "another program's");
}

TEST(Workspace, LeavesTheChecksumsOfItsParts) {
  const TempFolder output;
  auto workspace = *Workspace::Open(output.path(), "a", false);
  ASSERT_TRUE(workspace->WritePart(kRunInfo, 0, "csv", "abc").ok());
  ASSERT_TRUE(workspace->Publish({kRunInfo}).ok());
  // The example of FIPS 180-2, appendix B.1.
  EXPECT_EQ(ReadFile(output / "run_info/run_info_a/_SHA256SUMS"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  "
            "run_info/run_info_a/part-00000.csv\n");
}

TEST(Workspace, SaysWhichPathItCannotWrite) {
  const TempFolder output;
  output.Write("file", "x");
  const auto opened = Workspace::Open(output / "file/out", "a", false);
  EXPECT_TRUE(opened.status().IsIOError());
  EXPECT_NE(opened.status().message().find("file/out"), std::string::npos);
}

}  // namespace
}  // namespace pomona
