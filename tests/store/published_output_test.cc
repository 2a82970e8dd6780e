#include "pomona/published_output.h"

#include <arrow/util/io_util.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>

#include "temp_folder.h"

namespace pomona {
namespace {

constexpr const char* kInfo = R"({
  "input": "/tree", "counts": {"listed": 9, "rows": 4, "rejects": 3, "skips": 2},
  "rejects_by_reason": {"corrupt": 1, "empty": 2}, "skips_by_reason": {"not_an_image": 2},
  "seconds": {"total": 1.5}, "images_per_second": 6})";

void Publish(const TempFolder& output, const std::string& id) {
  output.Write("model_info/model_info_" + id + "/part-00000.json",
               R"({"variance_by_component": [0.5, 0.25]})");
  output.Write("metadata/metadata_" + id + "/part-00000.csv", "path,label\na,Kiwi\nb,\"7, NA\"\n");
  output.Write("metadata/metadata_" + id + "/part-00001.csv", "path,label\nc,\nd,Kiwi\n");
  output.Write("run_info/run_info_" + id + "/part-00000.json", kInfo);
  output.Write("run_info/run_info_" + id + "/_SUCCESS", "");
}

std::unique_ptr<PublishedOutput> Open(const TempFolder& output) {
  return *PublishedOutput::Open(output.path());
}

TEST(PublishedOutput, TellsWhatRunInfoTells) {
  const TempFolder output;
  Publish(output, "a");
  EXPECT_EQ(Open(output)->location(), output.path());
  for (const PublishedRun& run : {Open(output)->Runs()->front(), *Open(output)->Run("a")}) {
    EXPECT_EQ(run.problem, "");
    EXPECT_EQ(run.run_id, "a");
    EXPECT_EQ(run.files, 5);
    EXPECT_EQ(run.info, kInfo);
    EXPECT_EQ(run.input, "/tree");
    EXPECT_EQ(run.listed, run.rows + run.rejects + run.skips);
    EXPECT_EQ(run.rows, 4);
    EXPECT_EQ(run.rejects, 3);
    EXPECT_EQ(run.rejects_by_reason.at("empty"), 2);
    EXPECT_EQ(run.skips_by_reason.at("not_an_image"), 2);
    EXPECT_EQ(run.seconds, 1.5);
    EXPECT_EQ(run.images_per_second, 6);
  }
}

TEST(PublishedOutput, TellsWhatItsTablesHold) {
  const TempFolder output;
  Publish(output, "a");
  const RunContents contents = *Open(output)->Contents("");
  EXPECT_EQ(contents.run.run_id, "a");
  EXPECT_EQ(contents.variance, std::vector({0.5, 0.25}));
  EXPECT_EQ(contents.rows_by_label,
            (std::map<std::string, int64_t>{{"", 1}, {"7, NA", 1}, {"Kiwi", 2}}));
}

TEST(PublishedOutput, TakesTheLatestRun) {
  const TempFolder output;
  for (const char* id : {"b", "a"}) Publish(output, id);
  const std::string success = output / "run_info/run_info_b/_SUCCESS";
  std::filesystem::last_write_time(
      success, std::filesystem::last_write_time(success) - std::chrono::hours(1));
  EXPECT_EQ(Open(output)->Run("")->run_id, "a");
  EXPECT_EQ(Open(output)->Run("b")->run_id, "b");
}

TEST(PublishedOutput, GivesThePartsOfATable) {
  const TempFolder output;
  Publish(output, "a");
  const auto parts = *Open(output)->Parts("a", "metadata", "metadata");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[1], "metadata/metadata_a/part-00001.csv");
  EXPECT_EQ((*Open(output)->Read(parts[1]))->ToString(), "path,label\nc,\nd,Kiwi\n");
  EXPECT_TRUE(Open(output)->Parts("a", "features/csv", "features")->empty());
  EXPECT_TRUE(Open(output)->Parts("../a", "metadata", "metadata").status().IsInvalid());
  EXPECT_NE(Open(output)->Read("none").status().message().find(output / "none"), std::string::npos);
}

TEST(PublishedOutput, SaysThatThereIsNoRun) {
  const TempFolder output;
  const std::string none = "no run is published in " + output.path();
  EXPECT_EQ(Open(output)->Runs().status().message(), none);
  EXPECT_EQ(Open(output)->Run("").status().message(), none);
  Publish(output, "a");
  std::filesystem::remove(output / "run_info/run_info_a/_SUCCESS");
  EXPECT_EQ(Open(output)->Runs().status().message(), none);
  EXPECT_EQ(Open(output)->Contents("a").status().message(),
            "no run a is published in " + output.path());
  EXPECT_TRUE(Open(output)->Run("../a").status().IsInvalid());
}

TEST(PublishedOutput, SaysThatThereIsNoFolder) {
  const TempFolder output;
  const arrow::Status status = PublishedOutput::Open(output / "none", {}).status();
  EXPECT_EQ(status.message(), "there is no folder " + (output / "none"));
  EXPECT_EQ(arrow::internal::ErrnoFromStatus(status), ENOENT);
}

TEST(PublishedOutput, NamesWhatIsDamaged) {
  const TempFolder output;
  const std::string info = "run_info/run_info_a/part-00000.json";
  for (const std::string text :
       {"", "[1]", "{", R"({"input": "x"})", R"({"input": "x", "counts": 3})"}) {
    Publish(output, "a");
    output.Write(info, text);
    EXPECT_NE(Open(output)->Runs()->front().problem.find(output / info), std::string::npos) << text;
    EXPECT_NE(Open(output)->Contents("a").status().message().find(output / info),
              std::string::npos);
  }
  for (const std::string file :
       {"model_info/model_info_a/part-00000.json", "metadata/metadata_a/part-00000.csv"}) {
    Publish(output, "a");
    output.Write(file, "{}");
    const arrow::Status status = Open(output)->Contents("a").status();
    EXPECT_NE(status.message().find(output / file), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace pomona
