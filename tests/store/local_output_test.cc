#include "store/local_output.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "disk.h"
#include "refusal.h"
#include "store/layout.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

arrow::Result<std::unique_ptr<Output>> Open(const std::string& path, const std::string& run_id,
                                            bool fresh) {
  ARROW_ASSIGN_OR_RAISE(auto output, OpenOutput(path, {}, {}));
  ARROW_RETURN_NOT_OK(output->Lock({}));
  ARROW_RETURN_NOT_OK(output->Clear(fresh));
  ARROW_RETURN_NOT_OK(output->Begin(run_id));
  return output;
}

arrow::Status Publish(Output& output, const std::vector<OutputFolder>& folders) {
  return output.Publish(folders, {}, [](int64_t) {}, [] {});
}

TEST(LocalOutput, PublishesWholeFoldersAndCleansUp) {
  const TempFolder output;
  auto run = *Open(output / "new/folder", "id", false);
  ASSERT_TRUE(run->work().WritePart(kErrors, 0, "csv", "a\n").ok());
  ASSERT_TRUE(run->work().WritePart(kRunInfo, 0, "json", "{}\n").ok());
  EXPECT_FALSE(fs::exists(output / "new/folder/errors"));
  ASSERT_TRUE(Publish(*run, {kErrors, kRunInfo}).ok());
  EXPECT_EQ(ReadFile(output / "new/folder/errors/errors_id/part-00000.csv"), "a\n");
  EXPECT_TRUE(fs::exists(output / "new/folder/errors/errors_id/_SUCCESS"));
  EXPECT_TRUE(fs::exists(output / "new/folder/run_info/run_info_id/_SUCCESS"));
  EXPECT_FALSE(fs::exists(output / "new/folder/_pomona"));
}

TEST(LocalOutput, IsHeldByOne) {
  const TempFolder output;
  auto first = *Open(output.path(), "a", false);
  EXPECT_EQ(RefusalOf(Open(output.path(), "b", false).status()), RunRefusal::kOutputBusy);
  first.reset();
  EXPECT_TRUE(Open(output.path(), "b", false).ok());
}

TEST(LocalOutput, DropsUnpublishedPartsButKeepsFragmentsUnlessFresh) {
  const TempFolder output;
  {
    auto run = *Open(output.path(), "a", false);
    ASSERT_TRUE(run->work().WritePart(kErrors, 0, "csv", "stale").ok());
    ASSERT_TRUE(
        OutputFile::Create(run->work().FragmentPath({3, {0, 0, "0123456789abcdefgh"}, {}})).ok());
  }
  const std::string fragment = output / "_pomona/fragments/000003-0123456789abcdef.safetensors";
  ASSERT_TRUE(fs::exists(fragment));
  ASSERT_TRUE(Open(output.path(), "a", false).ok());
  EXPECT_TRUE(fs::exists(fragment));
  EXPECT_FALSE(fs::exists(output / "_pomona/publish/errors"));
  ASSERT_TRUE(Open(output.path(), "a", true).ok());
  EXPECT_FALSE(fs::exists(fragment));
}

TEST(LocalOutput, RollsBackARunThatDiedWhileItPublished) {
  const TempFolder output;
  const auto die_publishing = [&](const std::string& journal) {
    output.Write("errors/errors_a/part-00000.csv", "");
    output.Write("_pomona/publishing", journal);
  };
  die_publishing("a\n");
  ASSERT_TRUE(Open(output.path(), "b", false).ok());
  EXPECT_FALSE(fs::exists(output / "errors/errors_a"));
  EXPECT_FALSE(fs::exists(output / "_pomona/publishing"));

  // The last folder stood in its place already: the run is published.
  output.Write("run_info/run_info_a/part-00000.json", "");
  die_publishing("a\n");
  ASSERT_TRUE(Open(output.path(), "b", false).ok());
  EXPECT_TRUE(fs::exists(output / "errors/errors_a"));
  EXPECT_FALSE(fs::exists(output / "_pomona/publishing"));

  // A journal cut short never had a folder moved after it.
  fs::remove_all(output / "run_info");
  die_publishing("a");
  ASSERT_TRUE(Open(output.path(), "b", false).ok());
  EXPECT_TRUE(fs::exists(output / "errors/errors_a"));
}

// Outputs are unpacked, mounted, copied from elsewhere: what is in them is not to be believed.
TEST(LocalOutput, DoesNotFollowAJournalOutOfTheOutput) {
  const std::string long_name(kMaxRunIdBytes + 1, 'a');
  for (const std::string& run_id : std::vector<std::string>{
           "x/../../../../victim", "..", "../victim", "a b", "", "a\nb", long_name}) {
    const TempFolder folder;
    folder.Write("victim/precious", "1");
    const std::string output = folder / "output";
    folder.Write("output/features/parquet/features_x/part", "2");
    folder.Write("output/_pomona/publishing", run_id + '\n');
    folder.Write("output/_pomona/fragments/1.safetensors", "3");
    const auto opened = Open(output, "b", run_id != "..");
    if (run_id == "..") {
      // A strange id, but one that --run-id takes, and no path above: "features_..".
      EXPECT_TRUE(opened.ok()) << opened.status();
    } else {
      EXPECT_TRUE(opened.status().IsInvalid()) << run_id;
      EXPECT_NE(opened.status().message().find(output + "/_pomona/publishing"), std::string::npos);
      EXPECT_TRUE(fs::exists(output + "/_pomona/publishing"));
    }
    EXPECT_EQ(ReadFile(output + "/_pomona/fragments/1.safetensors"), "3") << run_id;
    EXPECT_EQ(ReadFile(folder / "victim/precious"), "1") << run_id;
    EXPECT_EQ(ReadFile(output + "/features/parquet/features_x/part"), "2") << run_id;
  }
}

TEST(LocalOutput, DoesNotFollowLinksOutOfTheOutput) {
  for (const std::string& link :
       std::vector<std::string>{"_pomona", "_pomona/fragments", "features", "features/parquet",
                                "run_info", "_pomona/lock"}) {
    const TempFolder folder;
    folder.Write("victim/parquet/features_x/part", "1");
    folder.Write("victim/features_x/part", "1");
    folder.Write("victim/precious", "1");
    folder.Write("output/_pomona/publishing", "x\n");
    if (link == "_pomona") fs::remove_all(folder / "output/_pomona");
    fs::create_directories(fs::path(folder / "output/" + link).parent_path());
    fs::create_directory_symlink(folder / "victim", folder / "output/" + link);
    const auto opened = Open(folder / "output", "b", false);
    EXPECT_NE(opened.status().message().find("output/" + link), std::string::npos)
        << opened.status();
    for (const char* file : {"parquet/features_x/part", "features_x/part", "precious"}) {
      EXPECT_EQ(ReadFile(folder / "victim/" + file), "1") << link;
    }
  }
}

TEST(LocalOutput, DoesNotWriteThroughLinks) {
  const TempFolder folder;
  folder.Write("precious", "1");
  fs::create_directories(folder / "output/_pomona");
  fs::create_symlink(folder / "precious", folder / "output/_pomona/errors.csv");
  fs::create_symlink(folder / "precious", folder / "output/_pomona/publishing");
  auto run = *Open(folder / "output", "a", false);
  ASSERT_TRUE(OutputFile::Create(run->work().RefusedErrorsPath()).ok());
  ASSERT_TRUE(run->work().WritePart(kRunInfo, 0, "json", "{}\n").ok());
  ASSERT_TRUE(Publish(*run, {kRunInfo}).ok());
  EXPECT_EQ(ReadFile(folder / "precious"), "1");
}

TEST(LocalOutput, LeavesInItsFolderWhatItDidNotMake) {
  const TempFolder output;
  output.Write("_pomona/spark_0123/part", "another job's");
  auto run = *Open(output.path(), "a", false);
  ASSERT_TRUE(run->work().WritePart(kRunInfo, 0, "json", "{}\n").ok());
  ASSERT_TRUE(Publish(*run, {kRunInfo}).ok());
  EXPECT_EQ(ReadFile(output / "_pomona/spark_0123/part"), "another job's");
  EXPECT_EQ(std::distance(fs::directory_iterator(output / "_pomona"), {}), 1);
}

TEST(LocalOutput, SaysBeforeTheWorkThatItCannotPublish) {
  const TempFolder output;
  // A name that is too long, where file systems take 255 bytes.
  EXPECT_TRUE(Open(output.path(), std::string(kMaxRunIdBytes, 'a'), false).ok());
  const auto too_long = Open(output.path(), std::string(250, 'a'), false);
  EXPECT_TRUE(too_long.status().IsIOError()) << too_long.status();
  // Something in the place of a folder to publish in.
  output.Write("pca", "a file");
  const auto opened = Open(output.path(), "a", false);
  EXPECT_NE(opened.status().message().find("/pca is no folder"), std::string::npos)
      << opened.status();
}

TEST(MakeFolders, EndsWhereNothingCanBeMade) {
  EXPECT_EQ(MakeFolders("/proc/out").message(),
            "cannot create the folder /proc/out: No such file or directory");
  EXPECT_FALSE(MakeFolders("/proc/self/a/b/c").ok());
}

TEST(LocalOutput, LeavesFoldersAloneThatItDidNotMake) {
  const TempFolder output;
  output.Write("features/csv/features_a/part-00000.csv", "another program's");
  const auto opened = Open(output.path(), "a", false);
  EXPECT_TRUE(opened.status().IsAlreadyExists());
  EXPECT_NE(opened.status().message().find("features/csv/features_a is there already"),
            std::string::npos)
      << opened.status();
  EXPECT_EQ(ReadFile(output / "features/csv/features_a/part-00000.csv"), "another program's");
}

TEST(LocalOutput, LeavesTheChecksumsOfItsParts) {
  const TempFolder output;
  auto run = *Open(output.path(), "a", false);
  ASSERT_TRUE(run->work().WritePart(kRunInfo, 0, "csv", "abc").ok());
  ASSERT_TRUE(Publish(*run, {kRunInfo}).ok());
  // The example of FIPS 180-2, appendix B.1.
  EXPECT_EQ(ReadFile(output / "run_info/run_info_a/_SHA256SUMS"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  "
            "run_info/run_info_a/part-00000.csv\n");
}

TEST(LocalOutput, SaysWhichPathItCannotWrite) {
  const TempFolder output;
  output.Write("file", "x");
  const auto opened = Open(output / "file/out", "a", false);
  EXPECT_TRUE(opened.status().IsIOError());
  EXPECT_NE(opened.status().message().find("file/out"), std::string::npos);
}

}  // namespace
}  // namespace pomona
