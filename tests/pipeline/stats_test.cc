// Statistics of images, through the runs that gather them.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>

#include "fakes.h"
#include "pomona/published_output.h"
#include "pomona/run.h"
#include "published.h"
#include "temp_folder.h"

namespace pomona {
namespace {

class StatsTest : public testing::Test {
 protected:
  StatsTest() {
    options_.run_id = "r";
    options_.pca_components = 3;
    options_.threads = 2;
    options_.report = ReportKind::kNone;
    options_.fragment_items = 8;
    options_.part_rows = 8;
    source_.AddTwentyImages();
  }

  arrow::Result<RunSummary> RunIt(const std::string& output, StatsKind stats,
                                  const RunHooks& hooks = {}) {
    options_.stats = stats;
    return pomona::Run(source_, FakeEngine::Factory(), {"digest", false, 1.0}, "/tree", output,
                       options_, hooks);
  }

  std::map<std::string, std::string> FilesOf(StatsKind stats) {
    const TempFolder output;
    const auto summary = RunIt(output.path(), stats);
    EXPECT_TRUE(summary.ok()) << summary.status();
    return Published(output.path());
  }

  // Leaves a run there that did not come to its end.
  void Interrupt(const std::string& output, StatsKind stats) {
    std::atomic<int> reads = 0;
    std::atomic<bool> cancel = false;
    source_.on_read = [&](const Item&) { cancel = ++reads > 12; };
    RunHooks hooks;
    hooks.cancel = &cancel;
    ASSERT_TRUE(RunIt(output, stats, hooks).status().IsCancelled());
    source_.on_read = [](const Item&) {};
  }

  MemorySource source_;
  RunOptions options_;
};

TEST_F(StatsTest, OnlyTheMetadataDiffersAndNoThreadChangesIt) {
  const auto none = FilesOf(StatsKind::kNone), full = FilesOf(StatsKind::kFull);
  ASSERT_EQ(none.size(), full.size());
  for (const auto& [path, digest] : none) {
    const bool differs = path.starts_with("metadata/parquet/") && path.ends_with(".parquet");
    EXPECT_EQ(full.at(path) != digest, differs) << path;
  }
  for (const int threads : {1, 5}) {
    options_.threads = threads;
    EXPECT_EQ(FilesOf(StatsKind::kFull), full);
  }
}

// A row is reused only with the statistics that are asked for, and no others.
TEST_F(StatsTest, AreMadeAnewWhereTheEarlierRunHasFewer) {
  std::map<StatsKind, std::map<std::string, std::string>> fresh;
  for (const StatsKind kind : {StatsKind::kNone, StatsKind::kBasic, StatsKind::kFull}) {
    options_.run_id = "b";
    fresh[kind] = FilesOf(kind);
  }
  for (const StatsKind earlier : {StatsKind::kNone, StatsKind::kBasic, StatsKind::kFull}) {
    for (const StatsKind later : {StatsKind::kNone, StatsKind::kBasic, StatsKind::kFull}) {
      const TempFolder output;
      options_.run_id = "a";
      ASSERT_TRUE(RunIt(output.path(), earlier).ok());
      options_.run_id = "b";
      const auto summary = RunIt(output.path(), later);
      ASSERT_TRUE(summary.ok()) << summary.status();
      EXPECT_EQ(summary->counts.reused, earlier >= later ? 20 : 0);
      ASSERT_TRUE(DeleteRun(output.path(), "a").ok());
      EXPECT_EQ(Published(output.path()), fresh[later]);
    }
  }
}

// Nor is an older run that has them overlooked for a newer one that has not.
TEST_F(StatsTest, AreTakenFromTheNewestRunThatHasThem) {
  const TempFolder output;
  for (const auto& [id, kind] : {std::pair{"a", StatsKind::kFull}, {"b", StatsKind::kNone}}) {
    options_.run_id = id;
    ASSERT_TRUE(RunIt(output.path(), kind).ok());
  }
  options_.run_id = "c";
  const auto summary = RunIt(output.path(), StatsKind::kFull);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.reused, 20);
  EXPECT_EQ(summary->reused_run_id, "a");
}

TEST_F(StatsTest, AreMadeAnewWhereAnUnfinishedRunHasNone) {
  const auto full = FilesOf(StatsKind::kFull);
  const TempFolder output;
  Interrupt(output.path(), StatsKind::kNone);
  const auto resumed = RunIt(output.path(), StatsKind::kFull);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->counts.resumed, 0);
  EXPECT_EQ(Published(output.path()), full);
}

TEST_F(StatsTest, ComeBackWithAnUnfinishedRunThatHasThem) {
  const auto full = FilesOf(StatsKind::kFull);
  const TempFolder output;
  Interrupt(output.path(), StatsKind::kFull);
  const auto resumed = RunIt(output.path(), StatsKind::kFull);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_GT(resumed->counts.resumed, 0);
  EXPECT_EQ(Published(output.path()), full);
}

TEST(Stats, AreRefusedWherePicturesAreNotDecodedWhole) {
  RunOptions options;
  options.decode = DecodeMode::kScaled;
  EXPECT_TRUE(Validate(options).ok());
  options.stats = StatsKind::kBasic;
  EXPECT_NE(Validate(options).message().find("--decode scaled"), std::string::npos);
  options.decode = DecodeMode::kExact;
  EXPECT_TRUE(Validate(options).ok());
}

}  // namespace
}  // namespace pomona
