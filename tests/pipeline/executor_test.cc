// A run whose tasks others do gives the bytes of one that threads do.
#include "pomona/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "fakes.h"
#include "job.h"
#include "plan.h"
#include "published.h"
#include "run_tasks.h"
#include "store/local_output.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

class ExecutorTest : public testing::Test {
 protected:
  ExecutorTest() {
    std::mt19937 random(7);
    for (int i = 0; i < 61; ++i) {
      const auto colour = [&] { return static_cast<uint8_t>(random() % 256); };
      source_.files["a/" + std::to_string(i) + ".png"] = PngOf(colour(), colour(), colour());
    }
    source_.files["a/30.png"] = "no image at all";
    source_.files["a/31.txt"] = "text";
    source_.files["b/31.png"] = "unreadable";
    options_.run_id = "r";
    options_.stats = StatsKind::kFull;  // which come along
    options_.pca_components = 3;
    options_.threads = 2;
    executor_.run = [this](const std::string& job, const std::string& stage, int64_t tasks,
                           const Executor::Deliver& deliver) {
      return Do(job, stage, tasks, deliver);
    };
  }

  struct Worker {
    explicit Worker(const JobText& job) : output(job.output) {}
    LocalOutput output;
    Plan plan;
    std::optional<RunTasks> tasks;
  };

  // Each task by a worker of its own, the last first, and every third twice.
  arrow::Status Do(const std::string& text, const std::string& stage, int64_t tasks,
                   const Executor::Deliver& deliver) {
    stages_.push_back(stage + ' ' + std::to_string(tasks));
    ARROW_ASSIGN_OR_RAISE(const JobText job, JobText::Parse(text));
    ARROW_ASSIGN_OR_RAISE(const TaskStage parsed, TaskStage::Parse(stage));
    EXPECT_EQ(parsed.Name(), stage);
    std::unique_ptr<Worker> worker;
    for (int64_t task = tasks - 1; task >= 0; --task) {
      for (int attempt = repeats_ && task % 3 == 0 ? 2 : 1; attempt > 0; --attempt) {
        if (!worker || !one_worker_) {
          worker = std::make_unique<Worker>(job);
          ARROW_RETURN_NOT_OK(worker->output.Join(job.run_id, /*together=*/false));
          ARROW_ASSIGN_OR_RAISE(worker->plan, Plan::Read(worker->output.work(), job.run_id));
          EXPECT_EQ(worker->plan.digest, job.plan_digest);
          const auto open = [this]() -> arrow::Result<std::unique_ptr<Source>> {
            return std::make_unique<MemorySource>(source_);
          };
          worker->tasks.emplace(worker->plan, worker->output, open, FakeEngine::Factory(),
                                CancelToken());
        }
        ARROW_ASSIGN_OR_RAISE(const TaskResult result,
                              worker->tasks->Run(parsed, static_cast<size_t>(task)));
        if (attempt == 1) ARROW_RETURN_NOT_OK(deliver(result.ToText()));
      }
      if (--tasks_to_do_ == 0) return arrow::Status::IOError("the executor is lost");
    }
    return arrow::Status::OK();
  }

  arrow::Result<RunSummary> Run(const std::string& path, const Executor* executor) {
    LocalOutput output(path);
    return Job({source_, "/tree", output, make_engine_, model_, options_, hooks_, nullptr,
                executor})
        .Run();
  }

  // The same files and counts, whoever does the work.
  void ExpectSame() {
    const auto here = Run(here_.path(), nullptr);
    ASSERT_TRUE(here.ok()) << here.status();
    const auto elsewhere = Run(elsewhere_.path(), &executor_);
    ASSERT_TRUE(elsewhere.ok()) << elsewhere.status();
    EXPECT_EQ(Published(here_.path()), Published(elsewhere_.path()));
    EXPECT_EQ(Describe(*here).substr(Describe(*here).find("listed")),
              Describe(*elsewhere).substr(Describe(*elsewhere).find("listed")));
    EXPECT_FALSE(fs::exists(elsewhere_ / "_pomona"));
  }

  MemorySource source_;
  const EngineFactory make_engine_ = FakeEngine::Factory();
  const ModelIdentity model_{"digest", false, 1.0};
  RunOptions options_;
  RunHooks hooks_;
  Executor executor_;
  bool repeats_ = true;       // some tasks are done twice
  bool one_worker_ = false;   // does all tasks of a stage
  int64_t tasks_to_do_ = -1;  // until the executor is lost; below 0: it never is
  std::vector<std::string> stages_;
  const TempFolder here_, elsewhere_;
};

using Stages = std::vector<std::string>;

TEST_F(ExecutorTest, MakesFewFragmentsInSlices) {
  options_.fragment_items = 24;
  options_.part_rows = 48;
  ExpectSame();
  EXPECT_EQ(stages_, (Stages{"extract 24", "gather 3", "merge1 1", "features 2", "projections 2"}));
}

TEST_F(ExecutorTest, MakesManyFragmentsWhole) {
  options_.fragment_items = 2;
  options_.part_rows = 10;
  ExpectSame();
  EXPECT_EQ(stages_, (Stages{"extract 32", "merge1 2", "merge2 1", "features 7", "projections 7"}));
}

TEST_F(ExecutorTest, OneWorkerMayDoMany) {
  options_.fragment_items = 24;
  options_.part_rows = 48;
  one_worker_ = true;
  ExpectSame();
}

TEST_F(ExecutorTest, EitherFinishesWhatTheOtherBegan) {
  options_.fragment_items = 24;
  options_.part_rows = 48;
  const auto expected = Run(here_.path(), nullptr);
  ASSERT_TRUE(expected.ok()) << expected.status();
  // Lost while extracting, gathering, merging, writing features, projections; then a thread's turn.
  for (const int64_t tasks : {5, 22, 24 + 2, 24 + 3 + 1, 24 + 3 + 1 + 1, 24 + 3 + 1 + 2 + 1}) {
    tasks_to_do_ = tasks;
    const auto lost = Run(elsewhere_.path(), &executor_);
    EXPECT_EQ(lost.status().message().substr(0, 20), "the executor is lost") << tasks;
    EXPECT_FALSE(fs::exists(elsewhere_ / "run_info")) << tasks;
  }
  tasks_to_do_ = -1;
  const auto finished = Run(elsewhere_.path(), nullptr);
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(Published(here_.path()), Published(elsewhere_.path()));
  EXPECT_GE(finished->counts.resumed, 5);

  // The other way round: threads are stopped by an image that ends the run.
  const TempFolder other;
  options_.fresh = true;
  source_.on_read = [](const Item& item) {
    if (item.path.ends_with("/9.png")) throw std::bad_alloc();
  };
  EXPECT_TRUE(Run(other.path(), nullptr).status().IsOutOfMemory());
  source_.on_read = [](const Item&) {};
  options_.fresh = false;
  const auto resumed = Run(other.path(), &executor_);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(Published(here_.path()), Published(other.path()));
  EXPECT_GT(resumed->counts.resumed, 0);
}

TEST_F(ExecutorTest, ReusesFeaturesOfEarlierRuns) {
  options_.fragment_items = 24;
  options_.part_rows = 48;
  repeats_ = false;  // what is done again counts as resumed
  for (const Executor* const executor :
       {static_cast<const Executor*>(nullptr), static_cast<const Executor*>(&executor_)}) {
    const TempFolder output;
    options_.run_id = "first";
    ASSERT_TRUE(Run(output.path(), &executor_).ok());
    options_.run_id = "second";
    const auto second = Run(output.path(), executor);
    ASSERT_TRUE(second.ok()) << second.status();
    EXPECT_EQ(second->counts.reused, second->counts.rows);
    EXPECT_EQ(second->reused_run_id, "first");
  }
}

TEST_F(ExecutorTest, RefusesRejectsAsThreadsDo) {
  options_.max_rejects = {1, false};
  const auto refused = Run(elsewhere_.path(), &executor_);
  EXPECT_EQ(RefusalOf(refused.status()), RunRefusal::kTooManyRejects) << refused.status();
}

TEST_F(ExecutorTest, WhatComesTooLateLeavesNothing) {
  ExpectSame();
  LocalOutput output(elsewhere_.path());
  EXPECT_TRUE(output.Join("r", /*together=*/false).IsInvalid());
  EXPECT_FALSE(fs::exists(elsewhere_ / "_pomona"));
}

}  // namespace
}  // namespace pomona
