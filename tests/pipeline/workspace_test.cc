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
    ASSERT_TRUE(workspace->WriteText(workspace->FragmentPath(3, "0123456789abcdefgh"), "x").ok());
  }
  const std::string fragment = output / "_pomona/fragments/000003-0123456789abcdef.safetensors";
  ASSERT_TRUE(fs::exists(fragment));
  ASSERT_TRUE(Workspace::Open(output.path(), "a", false).ok());
  EXPECT_TRUE(fs::exists(fragment));
  EXPECT_FALSE(fs::exists(output / "_pomona/publish"));
  ASSERT_TRUE(Workspace::Open(output.path(), "a", true).ok());
  EXPECT_FALSE(fs::exists(fragment));
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
