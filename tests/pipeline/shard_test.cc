// Shards in any order, lost ones run again: the bytes of one process.
#include "shard.h"

#include <arrow/io/file.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fakes.h"
#include "pomona/refusal.h"
#include "published.h"
#include "store/local_output.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// What shards have in common beside an output that each sees as its own.
class FolderCarrier : public Carrier {
 public:
  explicit FolderCarrier(const std::string& output) : work_(output + "/_pomona/") {}

  arrow::Status Send(const std::string& path, const std::string& name) override {
    sent_.Write(name, ReadFile(path));
    return arrow::Status::OK();
  }
  arrow::Result<bool> Fetch(const std::string&, const std::string&, bool) override { return false; }
  arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(
      const std::string& name) override {
    return arrow::io::ReadableFile::Open(work_ + name);
  }
  arrow::Result<std::set<std::string>> List() override { return std::set<std::string>(); }

 private:
  const std::string work_;
  const TempFolder sent_;
};

// One in which only what is shared outlasts those who take part.
class CarriedOutput : public LocalOutput {
 public:
  explicit CarriedOutput(const std::string& path) : LocalOutput(path), carrier_(path) {}
  arrow::Status Join(const std::string& run_id, bool together) override {
    ARROW_RETURN_NOT_OK(LocalOutput::Join(run_id, together));
    work().ShareBy(&carrier_, /*send=*/true);
    return arrow::Status::OK();
  }

 private:
  FolderCarrier carrier_;
};

class ShardTest : public testing::Test {
 protected:
  ShardTest() {
    std::mt19937 random(11);
    for (int i = 0; i < 41; ++i) {
      const auto colour = [&] { return static_cast<uint8_t>(random() % 256); };
      files_["a/" + std::to_string(i) + ".png"] = PngOf(colour(), colour(), colour());
    }
    files_["a/7.png"] = "no image at all";
    files_["a/8.txt"] = "text";
    options_.run_id = "r";
    options_.stats = StatsKind::kFull;  // which come along
    options_.pca_components = 3;
    options_.threads = 2;
    options_.fragment_items = 4;
    options_.part_rows = 12;

    MemorySource source;
    source.files = files_;
    LocalOutput output(whole_.path());
    const auto whole = Job({source, "/tree", output, make_engine_, model_, options_, hooks_}).Run();
    EXPECT_TRUE(whole.ok()) << whole.status();
  }

  // "2/5" or "merge", as another process would run it.
  arrow::Result<RunSummary> Run(const std::string& shard,
                                const std::function<void(const Item&)>& on_read = {}) const {
    RunOptions options = options_;
    ARROW_ASSIGN_OR_RAISE(options.shard, ParseShard(shard));
    MemorySource source;
    source.files = files_;
    if (on_read) source.on_read = on_read;
    const auto open = [&]() -> arrow::Result<std::unique_ptr<Output>> {
      if (carried_) return std::make_unique<CarriedOutput>(output_.path());
      return std::make_unique<LocalOutput>(output_.path());
    };
    return RunShard(
        {source, "/tree", open, make_engine_, model_, options, hooks_, nullptr, metrics_.get()});
  }

  void ExpectPublished() const {
    EXPECT_EQ(Published(whole_.path()), Published(output_.path()));
    EXPECT_FALSE(fs::exists(output_ / "_pomona"));
  }

  std::map<std::string, std::string> files_;
  const EngineFactory make_engine_ = FakeEngine::Factory();
  const ModelIdentity model_{"digest", false, 1.0};
  RunOptions options_;
  RunHooks hooks_;
  std::unique_ptr<MetricsFile> metrics_;
  bool carried_ = false;
  const TempFolder whole_, output_;
};

TEST_F(ShardTest, TheLastOnePublishes) {
  // Of 11 fragments shard 1 has three, the others have two each.
  for (const auto& [shard, missing] : std::vector<std::pair<std::string, int64_t>>{
           {"4/5", 9}, {"2/5", 7}, {"5/5", 5}, {"1/5", 2}}) {
    const auto summary = Run(shard);
    ASSERT_TRUE(summary.ok()) << summary.status();
    EXPECT_EQ(summary->fragments_missing, missing) << shard;
    EXPECT_TRUE(summary->folders.empty());
    EXPECT_FALSE(fs::exists(output_ / "run_info"));
  }
  const auto last = Run("3/5");
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->fragments_missing, 0);
  EXPECT_EQ(last->counts.listed, 42);
  EXPECT_EQ(last->counts.rows, 40);
  EXPECT_EQ(last->images_per_second, 0);  // it has made but two of the fragments
  EXPECT_EQ(Describe(*last).find("images/s"), std::string::npos) << Describe(*last);
  ExpectPublished();

  // One that a scheduler starts again.
  const auto late = Run("3/5");
  ASSERT_TRUE(late.ok()) << late.status();
  EXPECT_TRUE(late->published_elsewhere);
  ExpectPublished();
}

TEST_F(ShardTest, AllAtOncePublishOnce) {
  for (int round = 0; round < 6; ++round) {
    options_.fresh = round % 2 == 1;
    fs::remove_all(output_.path());
    fs::create_directory(output_.path());
    std::vector<arrow::Result<RunSummary>> results(4, arrow::Status::UnknownError(""));
    {
      std::vector<std::jthread> shards;
      for (int i = 0; i < 4; ++i) {
        shards.emplace_back([&, i] { results[i] = Run(std::to_string(i + 1) + "/4"); });
      }
    }
    int published = 0;
    for (const auto& result : results) {
      ASSERT_TRUE(result.ok()) << result.status();
      if (!result->folders.empty()) ++published;
    }
    EXPECT_EQ(published, 1);
    ExpectPublished();
  }
}

TEST_F(ShardTest, OneThatWasLostIsRunAgain) {
  ASSERT_TRUE(Run("1/2").ok());
  const auto lost = Run("2/2", [](const Item& item) {
    if (item.path.ends_with("/5.png")) throw std::bad_alloc();
  });
  EXPECT_TRUE(lost.status().IsOutOfMemory()) << lost.status();
  const auto merged = Run("merge");
  EXPECT_TRUE(merged.status().IsInvalid());
  EXPECT_NE(merged.status().message().find("are not made yet"), std::string::npos)
      << merged.status();
  const auto again = Run("2/2");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->fragments_missing, 0);
  ExpectPublished();
}

TEST_F(ShardTest, WhatOthersMadeIsRemovedOnlyWhereItIsDamaged) {
  ASSERT_TRUE(Run("1/2").ok());
  const fs::path path = fs::directory_iterator(output_ / "_pomona/fragments")->path();
  fs::rename(path, output_ / "aside");
  fs::create_symlink(path.filename(), path);  // cannot be opened for now
  const auto failed = Run("2/2");
  EXPECT_TRUE(failed.status().IsIOError()) << failed.status();
  EXPECT_TRUE(fs::is_symlink(path));

  fs::rename(output_ / "aside", path);
  fs::resize_file(path, fs::file_size(path) - 1);
  const auto damaged = Run("merge");
  EXPECT_TRUE(damaged.status().IsInvalid());
  EXPECT_NE(damaged.status().message().find("run all shards again"), std::string::npos)
      << damaged.status();
  ASSERT_TRUE(Run("2/2").ok());
  ASSERT_TRUE(Run("1/2").ok());
  ExpectPublished();
}

TEST_F(ShardTest, OnlyWhatOutlastsALostOneIsCalledKept) {
  options_.threads = 1;
  options_.save_seconds = 0;
  // The first and the third fragment are its own; this is the third image of the latter.
  const auto lose = [](const Item& item) {
    if (item.path.ends_with("/18.png")) throw std::bad_alloc();
  };
  for (const bool carried : {true, false}) {
    carried_ = carried;
    const auto lost = Run("1/2", lose);
    const std::string kept = carried ? "; 4 of" : "; 6 of";
    EXPECT_NE(lost.status().message().find(kept), std::string::npos) << lost.status();
  }
}

TEST_F(ShardTest, AWholeRunFinishesWhatShardsBegan) {
  ASSERT_TRUE(Run("2/3").ok());
  MemorySource source;
  source.files = files_;
  LocalOutput output(output_.path());
  const auto summary = Job({source, "/tree", output, make_engine_, model_, options_, hooks_}).Run();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.resumed, 14);  // three fragments, and the last one of two items
  ExpectPublished();
}

TEST_F(ShardTest, WhoPublishesChoosesTheFormats) {
  ASSERT_TRUE(Run("1/2").ok());
  options_.formats.csv = false;
  const auto last = Run("2/2");
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_TRUE(fs::exists(output_ / "features/parquet"));
  EXPECT_FALSE(fs::exists(output_ / "features/csv"));
}

TEST_F(ShardTest, AFolderOfItsNameIsNoPublishedRun) {
  fs::create_directories(output_ / "features/csv/features_r");
  const auto refused = Run("1/2");
  EXPECT_TRUE(refused.status().IsAlreadyExists()) << refused.status();
  EXPECT_NE(refused.status().message().find("choose another --run-id"), std::string::npos);
}

TEST_F(ShardTest, FilesThatThisMachineDoesNotSeeEndIt) {
  ASSERT_TRUE(Run("1/2").ok());
  files_.clear();  // as where INPUT is not mounted
  const auto blind = Run("2/2");
  EXPECT_NE(blind.status().message().find("mounted here?"), std::string::npos) << blind.status();
  EXPECT_FALSE(fs::exists(output_ / "run_info"));
}

TEST_F(ShardTest, FilesThatItDoesNotSeeEndItThoughOthersAreReused) {
  MemorySource before;
  before.files = files_;
  for (int i = 0; i < 8; ++i) before.files.erase("a/3" + std::to_string(i) + ".png");
  options_.run_id = "before";
  LocalOutput output(output_.path());
  ASSERT_TRUE(Job({before, "/tree", output, make_engine_, model_, options_, hooks_}).Run().ok());
  options_.run_id = "r";
  ASSERT_TRUE(Run("1/2").ok());
  files_.clear();
  const auto blind = Run("2/2");
  EXPECT_NE(blind.status().message().find("mounted here?"), std::string::npos) << blind.status();
}

TEST_F(ShardTest, TheTreeIsTheFirstOnes) {
  ASSERT_TRUE(Run("1/2").ok());
  files_["z/new.png"] = PngOf(1, 2, 3);
  const auto last = Run("2/2");
  ASSERT_TRUE(last.ok()) << last.status();
  ExpectPublished();
}

TEST_F(ShardTest, AListThatIsNotThePlansIsRefused) {
  ASSERT_TRUE(Run("1/2").ok());
  // As long as before, but of another file.
  const std::string path = output_ / "_pomona/items";
  std::fstream items(path, std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(items), {}};
  const size_t at = bytes.find("/tree/a/13.png");  // of the second fragment
  ASSERT_NE(at, std::string::npos);
  items.seekp(static_cast<std::streamoff>(at));
  items << "/etc/a/13.png ";
  items.close();
  const auto refused = Run("2/2");
  EXPECT_NE(refused.status().message().find("is not the one that was planned"), std::string::npos)
      << refused.status();
}

TEST_F(ShardTest, AllDecodeAsWasPlanned) {
  ASSERT_TRUE(Run("1/2").ok());
  options_.decode = DecodeMode::kScaled;
  const auto refused = Run("2/2");
  EXPECT_NE(refused.status().message().find("was planned with --decode exact"), std::string::npos)
      << refused.status();
  EXPECT_FALSE(fs::exists(output_ / "run_info"));
}

TEST_F(ShardTest, AllGatherTheStatisticsThatWerePlanned) {
  options_.stats = StatsKind::kFull;
  ASSERT_TRUE(Run("1/2").ok());
  for (const StatsKind other : {StatsKind::kNone, StatsKind::kBasic}) {
    options_.stats = other;
    const auto refused = Run("2/2");
    EXPECT_NE(refused.status().message().find("was planned with --stats full"), std::string::npos)
        << refused.status();
  }
  EXPECT_FALSE(fs::exists(output_ / "run_info"));
}

TEST_F(ShardTest, MergeNeedsAPlan) {
  const auto merged = Run("merge");
  EXPECT_NE(merged.status().message().find("there is no plan of the run r"), std::string::npos)
      << merged.status();
}

TEST_F(ShardTest, RejectsAreCountedOverAllShards) {
  options_.max_rejects = {0, false};
  ASSERT_TRUE(Run("1/2").ok());
  const auto refused = Run("2/2");
  EXPECT_EQ(RefusalOf(refused.status()), RunRefusal::kTooManyRejects) << refused.status();
  EXPECT_FALSE(fs::exists(output_ / "run_info"));
}

// Whoever waits is not stuck: see deploy/monitoring.
TEST_F(ShardTest, ItsMetricsTellWhatItDoesNotDoForItself) {
  std::atomic<bool> cancel = false;
  hooks_.cancel = &cancel;
  options_.metrics = output_ / "pomona.prom";
  const auto has = [&](const std::string& line) {
    return ReadFile(options_.metrics).find('\n' + line + '\n') != std::string::npos;
  };
  // Metrics are written at once where a run is to end.
  const auto wait_for_end = [&] {
    while (has("pomona_run_end_timestamp_seconds{file=\"pomona\"} 0")) std::this_thread::yield();
  };
  for (const std::string stage : {"plan", "wait"}) {
    metrics_ = *MetricsFile::Start(options_.metrics, "/tree", output_.path(), &cancel);
    LocalOutput other(output_.path());
    if (stage == "wait") {
      ASSERT_TRUE(other.Lock({}).ok());
      hooks_.log = [&](const std::string&) { cancel = true; };
    }
    hooks_.progress = [&](const Progress& progress) {
      metrics_->Hear(progress);
      ASSERT_EQ(progress.stage, "list");
      cancel = true;
      wait_for_end();
    };
    EXPECT_TRUE(Run("1/2").status().IsCancelled());
    wait_for_end();
    EXPECT_TRUE(has("pomona_run_stage{file=\"pomona\",stage=\"" + stage + "\"} 1")) << stage;
    EXPECT_TRUE(has("pomona_run_stage{file=\"pomona\",stage=\"list\"} 0")) << stage;
    cancel = false;
  }
}

}  // namespace
}  // namespace pomona
