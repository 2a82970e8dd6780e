#include "pomona/audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fakes.h"
#include "pomona/published_output.h"
#include "pomona/refusal.h"
#include "pomona/report.h"
#include "pomona/run.h"
#include "pomona/verify.h"
#include "published.h"
#include "store/local_output.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

class AuditTest : public testing::Test {
 protected:
  AuditTest() {
    run_.run_id = "r";
    run_.pca_components = 3;
    run_.threads = 2;
    run_.fragment_items = 8;
    run_.part_rows = 8;
    audit_.near = 1;
    audit_.neighbours = 3;
    audit_.threads = 2;
    source_.AddTwentyImages();
  }

  void RunIt() {
    const auto summary = pomona::Run(source_, FakeEngine::Factory(), {"digest", false, 1.0},
                                     "/tree", output_.path(), run_);
    ASSERT_TRUE(summary.ok()) << summary.status();
  }

  arrow::Result<AuditSummary> AuditIt() { return Audit(output_.path(), audit_); }

  std::string Table(const std::string& name) const {
    return ReadFile(output_ / ("audit/" + name + "/" + name + "_r/part-00000.csv"));
  }

  MemorySource source_;
  RunOptions run_;
  AuditOptions audit_;
  const TempFolder output_;
};

TEST_F(AuditTest, FindsDuplicatesConflictsAndLeaks) {
  const std::string grape = PngOf(90, 0, 160), lime = PngOf(120, 250, 0);
  source_.files["train/grape/1.png"] = source_.files["test/grape/2.png"] = grape;
  source_.files["b/lime/1.png"] = lime;
  // Another file of the same picture, and of another label.
  source_.files["c/pear/1.png"] = PngOf(120, 250, 0, 5, 4);
  RunIt();
  const auto summary = AuditIt();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->rows, 24);
  EXPECT_EQ(summary->groups, 2);
  EXPECT_EQ(summary->duplicates, 4);
  EXPECT_EQ(summary->same_bytes, 2);
  EXPECT_EQ(summary->label_conflicts, 1);
  EXPECT_EQ(summary->split_leaks, 1);
  EXPECT_EQ(Table("duplicates"),
            "path,label,group,representative,distance,kind,label_conflict\n"
            "/tree/b/lime/1.png,lime,0,/tree/b/lime/1.png,0,near,true\n"
            "/tree/c/pear/1.png,pear,0,/tree/b/lime/1.png,0,near,true\n"
            "/tree/test/grape/2.png,grape,1,/tree/test/grape/2.png,0,same_bytes,false\n"
            "/tree/train/grape/1.png,grape,1,/tree/test/grape/2.png,0,same_bytes,false\n");
  EXPECT_EQ(Table("split_leaks"),
            "path,label,split,group,representative,distance,kind\n"
            "/tree/test/grape/2.png,grape,test,1,/tree/test/grape/2.png,0,same_bytes\n"
            "/tree/train/grape/1.png,grape,train,1,/tree/test/grape/2.png,0,same_bytes\n");
  EXPECT_EQ(summary->folders.back(), "audit/run_info/run_info_r");
  for (const std::string& folder : summary->folders) {
    EXPECT_TRUE(fs::exists(output_ / folder + "/_SUCCESS")) << folder;
  }
  EXPECT_FALSE(fs::exists(output_ / "audit/_pomona"));
  const auto info =
      nlohmann::json::parse(ReadFile(output_ / "audit/run_info/run_info_r/part-00000.json"));
  EXPECT_EQ(info["counts"]["split_leaks"], 1);
  EXPECT_EQ(info["options"]["near"], 1.0);
}

TEST_F(AuditTest, FindsTheSamePixelsInOtherFilesWhereTheRunHashedThem) {
  // A text chunk makes it another file.
  const std::string lime = PngOf(120, 250, 0);
  std::string told = lime;
  const uint8_t text[] = {0, 0, 0, 3, 't', 'E', 'X', 't', 'a', 0, 'b', 0xdc, 0x49, 0xa2, 0x3b};
  told.insert(33, reinterpret_cast<const char*>(text), sizeof text);  // behind IHDR
  source_.files["b/1.png"] = lime;
  source_.files["b/2.png"] = told;
  source_.files["b/3.png"] = told;
  source_.files["b/4.png"] = PngOf(120, 250, 0, 2, 8);  // as many pixels, in other rows
  const std::string head = "path,label,group,representative,distance,kind,label_conflict\n";
  const auto line = [](int file, const std::string& kind) {
    return "/tree/b/" + std::to_string(file) + ".png,b,0,/tree/b/1.png,0," + kind + ",false\n";
  };
  for (const StatsKind kind : {StatsKind::kBasic, StatsKind::kFull}) {
    run_.stats = kind;
    run_.fresh = true;
    RunIt();
    const auto summary = AuditIt();
    ASSERT_TRUE(summary.ok()) << summary.status();
    const bool full = kind == StatsKind::kFull;
    EXPECT_EQ(Table("duplicates"), head + line(1, full ? "same_pixels" : "near") +
                                       line(2, "same_bytes") + line(3, "same_bytes") +
                                       line(4, "near"));
    EXPECT_EQ(summary->same_bytes, 2);
    EXPECT_EQ(summary->same_pixels, full ? 1 : 0);
    EXPECT_EQ(summary->stats, kind);
    EXPECT_EQ(summary->image_issues.at("exact_duplicates"), full ? 3 : 2);
    EXPECT_EQ(summary->image_issues.at("near_duplicates"), 4);
    EXPECT_EQ(summary->image_issues.contains("blurry"), full);
    EXPECT_EQ(Describe(*summary).find("run with --stats full") == std::string::npos, full);
    ASSERT_TRUE(DeleteRun(output_.path(), "r").ok());
  }
}

TEST_F(AuditTest, ImageIssuesWithoutStatisticsAreEmptyFields) {
  source_.files["b/wide.png"] = PngOf(9, 9, 9, 20, 4);
  RunIt();
  const auto summary = AuditIt();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->stats, StatsKind::kNone);
  const std::string issues = Table("image_issues");
  EXPECT_TRUE(issues.starts_with(
      "path,label,dark_score,is_dark_issue,light_score,is_light_issue,odd_aspect_ratio_score,"
      "is_odd_aspect_ratio_issue,low_information_score,is_low_information_issue,"
      "exact_duplicates_score,is_exact_duplicates_issue,near_duplicates_score,"
      "is_near_duplicates_issue,blurry_score,is_blurry_issue,grayscale_score,is_grayscale_issue,"
      "odd_size_score,is_odd_size_issue\n/tree/a/0.png,a,,,,,1,false,,,1,false,1,false,,,1,false,1,"
      "false\n"))
      << issues;
  EXPECT_NE(issues.find("/tree/b/wide.png,b,,,,,0.2,true,,,1,false,1,false,,,1,false,0,true\n"),
            std::string::npos)
      << issues;
  EXPECT_EQ(summary->image_issues.at("odd_size"), 1);
  EXPECT_NE(Describe(*summary).find("image issues: 1 odd_aspect_ratio, 1 odd_size; a run with"),
            std::string::npos);
}

TEST_F(AuditTest, RulesForSplitsComeFirst) {
  source_.files["a/x/1.png"] = source_.files["b/x/2.png"] = PngOf(90, 0, 160);
  audit_.splits.push_back(*ParseSplitRule("b/*=holdout"));
  RunIt();
  EXPECT_EQ(AuditIt()->split_leaks, 0);  // one of them belongs to no part
  audit_.splits.push_back(*ParseSplitRule("*=rest"));
  EXPECT_EQ(AuditIt()->split_leaks, 1);
  EXPECT_NE(Table("split_leaks").find("/tree/b/x/2.png,x,holdout,"), std::string::npos);
}

TEST_F(AuditTest, TheSameBytesOnAnyThreadsAndFromEitherFormat) {
  source_.files["c/1.png"] = source_.files["b/2.png"] = PngOf(90, 0, 160);
  audit_.near = 0.99;
  RunIt();
  ASSERT_TRUE(AuditIt().ok());
  const auto expected = Published(output_ / "audit");
  EXPECT_EQ(expected.size(), 20u);  // five tables, in two formats, and their _SUCCESS
  for (const int threads : {1, 5}) {
    audit_.threads = threads;
    ASSERT_TRUE(AuditIt().ok());
    EXPECT_EQ(Published(output_ / "audit"), expected);
  }
  for (const Cpu cpu : {Cpu::kScalar, Cpu::kAvx2, Cpu::kAvx512, Cpu::kNeon}) {
    if (!ResolveCpu(cpu).ok()) continue;
    audit_.cpu = cpu;
    ASSERT_TRUE(AuditIt().ok());
    EXPECT_EQ(Published(output_ / "audit"), expected) << CpuName(cpu);
  }
  ASSERT_TRUE(DeleteRun(output_.path(), "r").ok());
  run_.formats.parquet = false;
  RunIt();
  ASSERT_TRUE(AuditIt().ok());
  EXPECT_EQ(Published(output_ / "audit"), expected);
}

TEST_F(AuditTest, NeighboursAreATableWhereTheyAreAskedFor) {
  source_.files["c/1.png"] = source_.files["b/2.png"] = PngOf(90, 0, 160);
  source_.files["c/black.png"] = PngOf(0, 0, 0);
  RunIt();
  audit_.knn = 4;
  ASSERT_TRUE(AuditIt().ok());
  const std::string table = Table("neighbours");
  EXPECT_TRUE(table.starts_with("path,label,rank,neighbour,neighbour_label,distance\n"));
  EXPECT_EQ(std::ranges::count(table, '\n'), 1 + 4 * 23);
  EXPECT_NE(table.find("/tree/b/2.png,b,1,/tree/c/1.png,c,0\n/tree/b/2.png,b,2,"),
            std::string::npos);
  // As near to all, so the first ones.
  EXPECT_NE(table.find("/tree/c/black.png,c,1,/tree/a/0.png,a,1\n"
                       "/tree/c/black.png,c,2,/tree/a/1.png,a,1\n"),
            std::string::npos);
  const auto expected = Published(output_ / "audit");
  EXPECT_EQ(expected.size(), 24u);
  EXPECT_EQ(Verify(output_.path(), "r")->problems, std::vector<std::string>());
  for (const Cpu cpu : {Cpu::kScalar, Cpu::kAvx2, Cpu::kAvx512, Cpu::kNeon}) {
    if (!ResolveCpu(cpu).ok()) continue;
    audit_.cpu = cpu;
    audit_.threads = audit_.threads % 3 + 1;
    ASSERT_TRUE(AuditIt().ok());
    EXPECT_EQ(Published(output_ / "audit"), expected) << CpuName(cpu);
  }

  // One without takes it away.
  audit_.knn = 0;
  ASSERT_TRUE(AuditIt().ok());
  EXPECT_FALSE(fs::exists(output_ / "audit/neighbours/neighbours_r"));
  EXPECT_EQ(Verify(output_.path(), "r")->problems, std::vector<std::string>());

  // More than there are others.
  audit_.knn = 1000;
  ASSERT_TRUE(AuditIt().ok());
  EXPECT_EQ(std::ranges::count(Table("neighbours"), '\n'), 1 + 22 * 23);
  ASSERT_TRUE(DeleteRun(output_.path(), "r").ok());
  EXPECT_TRUE(Published(output_.path()).empty());
  audit_.knn = -1;
  EXPECT_NE(AuditIt().status().message().find("knn"), std::string::npos);
}

TEST_F(AuditTest, VerifyKnowsItsFilesAndDeleteTakesThem) {
  RunIt();
  const int64_t files = Verify(output_.path(), "r")->files;
  ASSERT_TRUE(AuditIt().ok());
  EXPECT_EQ(Verify(output_.path(), "r")->problems, std::vector<std::string>());
  EXPECT_EQ(Verify(output_.path(), "r")->files, files + 11);
  EXPECT_GT(RunToDelete(output_.path(), "r")->files, files + 11);

  output_.Write("audit/outliers/outliers_r/part-00000.csv", "other");
  const auto damaged = Verify(output_.path(), "r")->problems;
  ASSERT_EQ(damaged.size(), 1u);
  EXPECT_NE(damaged[0].find("audit/outliers/outliers_r/part-00000.csv: its checksum is wrong"),
            std::string::npos);

  output_.Write("audit/outliers/outliers_r/mine.txt", "");
  EXPECT_NE(DeleteRun(output_.path(), "r").message().find("mine.txt"), std::string::npos);
  fs::remove(output_ / "audit/outliers/outliers_r/mine.txt");
  ASSERT_TRUE(DeleteRun(output_.path(), "r").ok());
  EXPECT_TRUE(Published(output_.path()).empty());
}

// One that was removed and made anew under its id, by hand.
TEST_F(AuditTest, AnAuditOfAnotherRunIsNotThisOnes) {
  source_.files["c/1.png"] = source_.files["b/2.png"] = PngOf(90, 0, 160);
  RunIt();
  ASSERT_TRUE(AuditIt().ok());
  ReportOptions report;
  report.file = output_ / "page.html";
  const auto shows_audit = [&] {
    EXPECT_TRUE(MakeReport(output_.path(), report).ok());
    return ReadFile(report.file).find("data-audit") != std::string::npos;
  };
  EXPECT_TRUE(shows_audit());
  fs::rename(output_ / "audit", output_ / "kept");
  ASSERT_TRUE(DeleteRun(output_.path(), "r").ok());
  fs::rename(output_ / "kept", output_ / "audit");
  source_.files.erase("c/1.png");
  RunIt();
  const auto problems = Verify(output_.path(), "r")->problems;
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].find("the audit of another run"), std::string::npos);
  EXPECT_FALSE(shows_audit());
  EXPECT_EQ(AuditIt()->groups, 0);
  EXPECT_TRUE(Verify(output_.path(), "r")->problems.empty());
}

TEST_F(AuditTest, WhatIsLeftOfOneStandsInNobodysWay) {
  RunIt();
  ASSERT_TRUE(AuditIt().ok());
  fs::remove_all(output_ / "audit/run_info/run_info_r");
  ASSERT_TRUE(AuditIt().ok());
  output_.Write("audit/_pomona/run/rows-audit.safetensors", "of one that was killed");
  ASSERT_TRUE(AuditIt().ok());
  EXPECT_FALSE(fs::exists(output_ / "audit/_pomona"));
  fs::remove_all(output_ / "audit");
  output_.Write("audit", "a file");
  EXPECT_FALSE(AuditIt().ok());
  EXPECT_TRUE(DeleteRun(output_.path(), "r").ok());
}

TEST_F(AuditTest, AnUnfinishedRunBesideItStays) {
  RunIt();
  output_.Write("_pomona/fragments/mine", "");
  ASSERT_TRUE(AuditIt().ok());
  EXPECT_TRUE(fs::exists(output_ / "_pomona/fragments/mine"));
}

TEST_F(AuditTest, NothingIsPublishedOfWhatFails) {
  EXPECT_TRUE(AuditIt().status().IsInvalid());
  RunIt();
  audit_.near = 0;
  EXPECT_NE(AuditIt().status().message().find("near"), std::string::npos);
  audit_.near = 1;
  audit_.neighbours = 0;
  EXPECT_NE(AuditIt().status().message().find("neighbours"), std::string::npos);
  audit_.neighbours = 3;
  audit_.run_id = "another";
  EXPECT_TRUE(AuditIt().status().IsInvalid());
  audit_.run_id = "";
  {
    LocalOutput other(output_ / "audit", kAuditFolders);
    ASSERT_TRUE(other.Lock({}).ok());
    EXPECT_EQ(RefusalOf(AuditIt().status()), RunRefusal::kOutputBusy);
  }
  ASSERT_TRUE(AuditIt().ok());
  const auto before = Published(output_ / "audit");

  const std::atomic<bool> cancelled = true;
  EXPECT_TRUE(Audit(output_.path(), audit_, {{}, CancelToken(&cancelled)}).status().IsCancelled());
  const std::string part = "features/parquet/features_r/part-00001.parquet";
  const std::string bytes = ReadFile(output_ / part);
  output_.Write(part, bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(AuditIt().status().message().find(part), std::string::npos);
  output_.Write(part, ReadFile(output_ / "features/parquet/features_r/part-00002.parquet"));
  EXPECT_NE(AuditIt().status().message().find(part), std::string::npos);
  // As many rows, but those of another part.
  output_.Write(part, ReadFile(output_ / "features/parquet/features_r/part-00000.parquet"));
  EXPECT_NE(AuditIt().status().message().find("part-00001.parquet: "), std::string::npos);
  output_.Write(part, bytes);
  const std::string model = "model_info/pca_model_r/part-00000.safetensors";
  const std::string pca = ReadFile(output_ / model);
  output_.Write(model, pca + " ");
  EXPECT_NE(AuditIt().status().message().find(model), std::string::npos);
  output_.Write(model, pca);
  output_.Write("run_info/run_info_r/_items-part-00000.safetensors", "");
  EXPECT_NE(AuditIt().status().message().find("its checksum is wrong"), std::string::npos);
  EXPECT_EQ(Published(output_ / "audit"), before);
}

TEST(SplitsTest, AreNamedByFoldersAndRules) {
  EXPECT_EQ(SplitOf("Training/kiwi/1.png", {}), "train");
  EXPECT_EQ(SplitOf("data/TEST/kiwi/train/1.png", {}), "test");
  EXPECT_EQ(SplitOf("Validation/1.png", {}), "val");
  EXPECT_EQ(SplitOf("kiwi/train.png", {}), "");
  EXPECT_EQ(SplitOf("trainer/1.png", {}), "");
  EXPECT_EQ(SplitOf("test/1.png", {*ParseSplitRule("test/*=a=b")}), "test");
  EXPECT_EQ(SplitOf("test/1.png", {*ParseSplitRule("test/*=b")}), "b");
  for (const char* text : {"", "=", "a=", "=b", "ab", "[=x"}) {
    EXPECT_TRUE(ParseSplitRule(text).status().IsInvalid()) << text;
  }
}

}  // namespace
}  // namespace pomona
