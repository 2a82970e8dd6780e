#include "metrics.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "fakes.h"
#include "pomona/run.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// The lines with their values taken off.
std::set<std::string> Series(const std::string& text) {
  std::set<std::string> series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with('#')) series.insert(line.substr(0, line.rfind(' ')));
  }
  return series;
}

bool Has(const std::string& text, const std::string& line) {
  return ('\n' + text).find('\n' + line + '\n') != std::string::npos;
}

TEST(MetricsText, TellsAllOfARun) {
  Metrics metrics;
  metrics.file = "f";
  metrics.stage = "extract";
  metrics.counts = {.listed = 10, .rows = 5, .rejects = 2, .skips = 1, .resumed = 3, .reused = 4};
  metrics.rejects_by_reason = {{"corrupt", 2}};
  metrics.skips_by_reason = {{kNotAnImage, 1}};
  metrics.work.read_bytes = 12345;
  for (const double seconds : {0.0001, 0.003, 0.003, 100.0}) metrics.work.infer.Add(seconds);
  metrics.reads.retries = 7;
  metrics.writes.first_byte.Add(0.25);
  metrics.started = 1.5;
  const std::string text = MetricsText(metrics);
  for (const char* line : {
           "pomona_run_success{file=\"f\"} 0",
           "pomona_run_start_timestamp_seconds{file=\"f\"} 1.5",
           "pomona_run_end_timestamp_seconds{file=\"f\"} 0",
           "pomona_run_stage{file=\"f\",stage=\"extract\"} 1",
           "pomona_run_stage{file=\"f\",stage=\"fit\"} 0",
           "pomona_items_listed_total{file=\"f\"} 10",
           "pomona_items_done_total{file=\"f\"} 8",
           "pomona_images_total{file=\"f\"} 5",
           "pomona_rejects_total{file=\"f\",reason=\"corrupt\"} 2",
           "pomona_rejects_total{file=\"f\",reason=\"forbidden\"} 0",
           "pomona_skips_total{file=\"f\",reason=\"not_an_image\"} 1",
           "pomona_items_resumed_total{file=\"f\"} 3",
           "pomona_images_reused_total{file=\"f\"} 4",
           "pomona_read_bytes_total{file=\"f\"} 12345",
           "pomona_infer_seconds_bucket{file=\"f\",le=\"0.000128\"} 1",
           "pomona_infer_seconds_bucket{file=\"f\",le=\"0.002048\"} 1",
           "pomona_infer_seconds_bucket{file=\"f\",le=\"0.004096\"} 3",
           "pomona_infer_seconds_bucket{file=\"f\",le=\"16.777216\"} 3",
           "pomona_infer_seconds_bucket{file=\"f\",le=\"+Inf\"} 4",
           "pomona_infer_seconds_sum{file=\"f\"} 100.0061",
           "pomona_infer_seconds_count{file=\"f\"} 4",
           "pomona_s3_retries_total{file=\"f\",direction=\"read\"} 7",
           "pomona_s3_retries_total{file=\"f\",direction=\"write\"} 0",
           "pomona_s3_first_byte_seconds_bucket{file=\"f\",direction=\"write\",le=\"0.262144\"} 1",
           "pomona_s3_first_byte_seconds_sum{file=\"f\",direction=\"write\"} 0.25",
       }) {
    EXPECT_TRUE(Has(text, line)) << line << "\n" << text;
  }
}

TEST(MetricsText, HasTheSameSeriesWhateverHappened) {
  Metrics metrics;
  metrics.rejects_by_reason = {{"no reason that there is", 2}};
  metrics.stage = "no stage";
  metrics.counts.rows = 7;
  metrics.ended = 2;
  EXPECT_EQ(Series(MetricsText(metrics)), Series(MetricsText({})));
}

TEST(MetricsText, EscapesNames) {
  Metrics metrics;
  metrics.input = "a\"b\\c\nd\xff";
  EXPECT_NE(MetricsText(metrics).find(R"(input="a\"b\\c\nd\\xFF",output="")"), std::string::npos);
}

class MetricsFileTest : public testing::Test {
 protected:
  MetricsFileTest() {
    for (int i = 0; i < 9; ++i) {
      source_.files["a/" + std::to_string(i) + ".png"] =
          PngOf(static_cast<uint8_t>(i), static_cast<uint8_t>(7 * i), 3);
    }
    source_.files["a/bad.png"] = "no image at all";
    source_.files["a/text.txt"] = "text";
    options_.run_id = "r";
    options_.pca_components = 2;
    options_.threads = 2;
    options_.metrics = folder_ / "pomona.prom";
  }
  arrow::Result<RunSummary> Run() {
    return pomona::Run(source_, FakeEngine::Factory(), {}, "/tree", folder_ / "out", options_,
                       hooks_);
  }
  std::string Written() const { return ReadFile(options_.metrics); }

  TempFolder folder_;
  MemorySource source_;
  RunOptions options_;
  RunHooks hooks_;
};

TEST_F(MetricsFileTest, IsThereFromTheStartToTheEnd) {
  std::string first;
  hooks_.progress = [&](const Progress&) {
    if (first.empty()) first = Written();
  };
  const auto summary = Run();
  ASSERT_TRUE(summary.ok()) << summary.status();
  const std::string last = Written();
  EXPECT_EQ(Series(first), Series(last));
  EXPECT_TRUE(Has(first, "pomona_run_success{file=\"pomona\"} 0"));
  EXPECT_TRUE(Has(first, "pomona_run_end_timestamp_seconds{file=\"pomona\"} 0"));
  for (const char* line :
       {"pomona_run_success{file=\"pomona\"} 1",
        "pomona_run_stage{file=\"pomona\",stage=\"list\"} 0",
        "pomona_items_listed_total{file=\"pomona\"} 11",
        "pomona_items_done_total{file=\"pomona\"} 11", "pomona_images_total{file=\"pomona\"} 9",
        "pomona_rejects_total{file=\"pomona\",reason=\"corrupt\"} 1",
        "pomona_skips_total{file=\"pomona\",reason=\"not_an_image\"} 1",
        "pomona_read_seconds_count{file=\"pomona\"} 11",
        "pomona_decode_seconds_count{file=\"pomona\"} 11",
        "pomona_resize_seconds_count{file=\"pomona\"} 9",
        "pomona_infer_seconds_count{file=\"pomona\"} 9",
        "pomona_image_seconds_count{file=\"pomona\"} 9"}) {
    EXPECT_TRUE(Has(last, line)) << line << "\n" << last;
  }
  EXPECT_FALSE(Has(last, "pomona_run_end_timestamp_seconds{file=\"pomona\"} 0"));
  EXPECT_FALSE(Has(last, "pomona_resident_memory_bytes{file=\"pomona\"} 0"));
  // Nothing is left beside it.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 2);
}

TEST_F(MetricsFileTest, TellsOfARunThatFails) {
  options_.max_rejects = {0, false};
  ASSERT_FALSE(Run().ok());
  EXPECT_TRUE(Has(Written(), "pomona_run_success{file=\"pomona\"} 0")) << Written();
  EXPECT_FALSE(Has(Written(), "pomona_run_end_timestamp_seconds{file=\"pomona\"} 0")) << Written();
  EXPECT_TRUE(Has(Written(), "pomona_rejects_total{file=\"pomona\",reason=\"corrupt\"} 1"))
      << Written();
}

TEST_F(MetricsFileTest, TellsOfARunThatIsInterrupted) {
  std::atomic<bool> cancel = false;
  hooks_.cancel = &cancel;
  hooks_.progress = [&](const Progress&) { cancel = true; };
  EXPECT_TRUE(Run().status().IsCancelled());
  EXPECT_TRUE(Has(Written(), "pomona_run_success{file=\"pomona\"} 0")) << Written();
  EXPECT_FALSE(Has(Written(), "pomona_run_end_timestamp_seconds{file=\"pomona\"} 0")) << Written();
}

TEST_F(MetricsFileTest, CountsWhatIsResumed) {
  options_.max_rejects = {0, false};
  ASSERT_FALSE(Run().ok());
  options_.max_rejects = {};
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(Has(Written(), "pomona_items_resumed_total{file=\"pomona\"} 11")) << Written();
  EXPECT_TRUE(Has(Written(), "pomona_images_total{file=\"pomona\"} 9")) << Written();
  EXPECT_TRUE(Has(Written(), "pomona_rejects_total{file=\"pomona\",reason=\"corrupt\"} 1"))
      << Written();
  EXPECT_TRUE(Has(Written(), "pomona_infer_seconds_count{file=\"pomona\"} 0")) << Written();
}

TEST_F(MetricsFileTest, AShardTellsOfItsOwnItems) {
  options_.fragment_items = 3;
  options_.part_rows = 6;
  int64_t images = 0, listed = 0;
  for (int index = 1; index <= 2; ++index) {
    options_.shard = {index, 2};
    ASSERT_TRUE(Run().ok());
    const std::string text = Written();
    EXPECT_TRUE(Has(text, "pomona_run_success{file=\"pomona\"} 1")) << text;
    const auto value = [&](const std::string& name) {
      const size_t at = text.find('\n' + name + "{file=\"pomona\"} ");
      return std::stoll(text.substr(text.find(' ', at) + 1));
    };
    images += value("pomona_images_total");
    listed += value("pomona_items_listed_total");
  }
  EXPECT_EQ(images, 9);
  EXPECT_EQ(listed, 11);
}

TEST_F(MetricsFileTest, WhatCannotBeWrittenIsSaidAtOnce) {
  options_.metrics = folder_ / "none/pomona.prom";
  const auto summary = Run();
  EXPECT_TRUE(summary.status().IsInvalid()) << summary.status();
  EXPECT_NE(summary.status().message().find("metrics: cannot create"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  options_.metrics = "s3://bucket/pomona.prom";
  EXPECT_TRUE(Run().status().IsInvalid());
}

TEST_F(MetricsFileTest, ReplacesNothingButAFile) {
  ASSERT_EQ(mkfifo(options_.metrics.c_str(), 0600), 0);
  const auto summary = Run();
  EXPECT_TRUE(summary.status().IsInvalid()) << summary.status();
  EXPECT_NE(summary.status().message().find("only regular files"), std::string::npos);
  EXPECT_TRUE(fs::is_fifo(options_.metrics));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

// A thread cannot be had whose stack has no room.
TEST_F(MetricsFileTest, ARunThatHasNoThreadHasEnded) {
  pthread_attr_t usual, vast;
  ASSERT_EQ(pthread_getattr_default_np(&usual), 0);
  pthread_attr_init(&vast);
  pthread_attr_setstacksize(&vast, size_t{1} << 50);
  ASSERT_EQ(pthread_setattr_default_np(&vast), 0);
  const auto summary = Run();
  pthread_setattr_default_np(&usual);
  EXPECT_TRUE(summary.status().IsIOError()) << summary.status();
  EXPECT_TRUE(Has(Written(), "pomona_run_success{file=\"pomona\"} 0"));
  EXPECT_FALSE(Has(Written(), "pomona_run_end_timestamp_seconds{file=\"pomona\"} 0")) << Written();
}

// The later of two has the file, and the earlier says that it lost it.
TEST_F(MetricsFileTest, OfTwoRunsOneHasIt) {
  std::vector<std::string> told;
  hooks_.log = [&](const std::string& line) { told.push_back(line); };
  std::unique_ptr<MetricsFile> later;
  hooks_.progress = [&](const Progress&) {
    if (!later) later = *MetricsFile::Start(options_.metrics, "another", "one", {});
  };
  ASSERT_TRUE(Run().ok());
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("another run writes it now"), std::string::npos) << told[0];
  EXPECT_NE(Written().find("input=\"another\""), std::string::npos) << Written();
  EXPECT_TRUE(later->Finish(true).ok());
  EXPECT_TRUE(Has(Written(), "pomona_run_success{file=\"pomona\"} 1"));
  // One that somebody removed is written again.
  told.clear();
  hooks_.progress = [&](const Progress&) { fs::remove(options_.metrics); };
  options_.run_id = "r2";
  ASSERT_TRUE(Run().ok());
  EXPECT_TRUE(told.empty());
  EXPECT_TRUE(Has(Written(), "pomona_run_success{file=\"pomona\"} 1"));
}

TEST_F(MetricsFileTest, CountersOfAShardThatPlansNeverGoDown) {
  const auto metrics = *MetricsFile::Start(options_.metrics, "in", "out", {});
  const auto written = [&](const std::string& name) {
    EXPECT_TRUE(metrics->Finish(false).ok());
    const std::string text = Written();
    const size_t at = text.find('\n' + name + ' ');
    EXPECT_NE(at, std::string::npos) << name;
    return std::stoll(text.substr(text.find(' ', at + 1) + 1));
  };
  const std::string listed = "pomona_items_listed_total{file=\"pomona\"}";
  const std::string requests = "pomona_s3_requests_total{file=\"pomona\",direction=\"write\"}";
  TransferCounts writes;
  writes.requests = 7;
  // It lists for all, and gives the output up.
  metrics->HearPlanning(true);
  metrics->Hear({"list", 1'000, 0, {}});
  metrics->HearWrites(writes);
  EXPECT_EQ(written(listed), 0);
  EXPECT_EQ(written(requests), 7);
  metrics->HearPlanning(false);
  metrics->EndOutput(writes);
  EXPECT_EQ(written(requests), 7);
  // It does its part, through another one.
  metrics->HearWrites({});
  EXPECT_EQ(written(requests), 7);
  writes.requests = 2;
  metrics->HearWrites(writes);
  EXPECT_EQ(written(requests), 9);
  Progress progress{"extract", 3, 10, {}};
  progress.counts.listed = 10;
  metrics->Hear(progress);
  EXPECT_EQ(written(listed), 10);
}

}  // namespace
}  // namespace pomona
