#include "job.h"

#include <arrow/util/io_util.h>
#include <gtest/gtest.h>

#include <cerrno>

#include <string>
#include <vector>

#include "fakes.h"
#include "temp_folder.h"

namespace pomona {
namespace {

// An output that notes what is asked of it, and fails where it is told to.
class FakeOutput : public Output {
 public:
  int taken_ids = 0;  // so many that are asked for first exist already
  arrow::Status lock, held, upload, publish;

  std::vector<std::string> calls;
  std::vector<std::string> published_folders;

  const std::string& location() const override { return location_; }
  const std::string& folder() const override { return folder_.path(); }
  arrow::Status Lock(CancelToken) override {
    calls.push_back("lock");
    ARROW_RETURN_NOT_OK(lock);
    work_.reset();  // whose lock this process would wait for
    ARROW_ASSIGN_OR_RAISE(work_, WorkFolder::Open(folder_.path()));
    return arrow::Status::OK();
  }
  arrow::Status CheckHeld() const override { return held; }
  arrow::Status Clear(bool fresh) override {
    if (fresh) calls.push_back("clear");
    return work_->Clear(fresh);
  }
  arrow::Status Join(const std::string&, bool) override {
    return arrow::Status::NotImplemented("this one is for its holder");
  }
  arrow::Status Deliver(CancelToken) override { return arrow::Status::OK(); }
  void Leave() override { work_.reset(); }
  WorkFolder& work() override { return *work_; }
  PublishedFiles published() const override { return PublishedFiles(folder_ / "published"); }
  arrow::Status Begin(const std::string& run_id) override {
    calls.push_back("begin " + run_id);
    return taken_ids-- > 0 ? RunExists(run_id, location_) : work_->Begin(run_id);
  }
  arrow::Status Upload(CancelToken, const Poll& poll) override {
    calls.push_back("upload");
    poll(1);
    return upload;
  }
  arrow::Status Publish(const std::vector<OutputFolder>& folders, CancelToken, const Poll&,
                        const std::function<void()>&) override {
    calls.push_back("publish");
    for (const OutputFolder& folder : folders) {
      if (folder.inner.empty()) published_folders.push_back(folder.Path(work_->run_id()));
    }
    return publish;
  }
  arrow::Status WriteCard(std::string_view) override { return arrow::Status::OK(); }
  void Abandon() override { calls.push_back("abandon"); }
  arrow::Status Remove(const std::string&) override {
    return arrow::Status::NotImplemented("its runs stay");
  }

 private:
  const std::string location_ = "fake://output";
  const TempFolder folder_;
  std::unique_ptr<WorkFolder> work_;
};

using Calls = std::vector<std::string>;

class JobTest : public testing::Test {
 protected:
  JobTest() {
    source_.AddTwentyImages();
    options_.run_id = "r";
    options_.pca_components = 3;
    options_.threads = 2;
    options_.fragment_items = 8;
    options_.part_rows = 16;
  }

  arrow::Result<RunSummary> Run() {
    return Job({source_, "/tree", output_, make_engine_, model_, options_, hooks_}).Run();
  }

  MemorySource source_;
  FakeOutput output_;
  const EngineFactory make_engine_ = FakeEngine::Factory();
  const ModelIdentity model_{"digest", false, 1.0};
  RunOptions options_;
  RunHooks hooks_;
};

TEST_F(JobTest, TakesTheOutputStagesAndPublishes) {
  const auto summary = Run();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(output_.calls, (Calls{"lock", "begin r", "upload", "publish"}));
  EXPECT_EQ(output_.published_folders, summary->folders);
  EXPECT_EQ(summary->folders.back(), "run_info/run_info_r");
  EXPECT_EQ(summary->counts.rows, 20);
}

TEST_F(JobTest, TriesAnotherNameOnlyWhereNoneWasAskedFor) {
  output_.taken_ids = 1;
  EXPECT_TRUE(Run().status().IsAlreadyExists());
  EXPECT_EQ(output_.calls, (Calls{"lock", "begin r", "abandon"}));

  output_.calls.clear();
  output_.taken_ids = 2;
  options_.run_id = "";
  const auto summary = Run();
  ASSERT_TRUE(summary.ok()) << summary.status();
  ASSERT_EQ(output_.calls.size(), 6u);
  const std::string first = output_.calls[1];
  EXPECT_EQ(output_.calls, (Calls{"lock", first, first + "_2", first + "_3", "upload", "publish"}));
  EXPECT_EQ("begin " + summary->run_id, first + "_3");
}

TEST_F(JobTest, SaysHowMuchSpaceItTakes) {
  output_.publish = arrow::internal::IOErrorFromErrno(ENOSPC, "cannot write");
  const std::string message = Run().status().message();
  EXPECT_NE(message.find("the run takes about "), std::string::npos) << message;
  EXPECT_NE(message.find(" MiB are free"), std::string::npos) << message;

  output_.lock = output_.publish;
  const std::string locked = Run().status().message();
  EXPECT_EQ(locked.find("the run takes about "), std::string::npos) << locked;
  EXPECT_NE(locked.find(" MiB are free"), std::string::npos) << locked;
}

TEST_F(JobTest, WhatCannotBeTakenIsNotAbandoned) {
  output_.lock = arrow::Status::IOError("busy");
  EXPECT_EQ(Run().status().message(), "busy");
  EXPECT_EQ(output_.calls, Calls{"lock"});
}

TEST_F(JobTest, SaysFirstThatThereCannotBeSoManyComponents) {
  options_.pca_components = 10'000;
  source_.on_read = [](const Item& item) { FAIL() << item.path; };
  const std::string message = Run().status().message();
  EXPECT_NE(message.find("components, not 10000; use --pca-components"), std::string::npos)
      << message;
}

TEST_F(JobTest, EndsWhileItExtractsWhenItsOutputIsTaken) {
  output_.held = arrow::Status::IOError("taken over");
  const std::string message = Run().status().message();
  EXPECT_TRUE(message.starts_with("taken over")) << message;
  EXPECT_EQ(output_.calls, (Calls{"lock", "begin r", "abandon"}));
}

TEST_F(JobTest, AbandonsWhateverFailsLater) {
  output_.upload = arrow::Status::IOError("no connection");
  EXPECT_EQ(Run().status().message(), "no connection");
  EXPECT_EQ(output_.calls, (Calls{"lock", "begin r", "upload", "abandon"}));

  output_.calls.clear();
  output_.upload = {};
  output_.publish = arrow::Status::IOError("moved away");
  options_.fresh = true;
  EXPECT_EQ(Run().status().message(), "moved away");
  EXPECT_EQ(output_.calls, (Calls{"lock", "begin r", "clear", "upload", "publish", "abandon"}));
}

}  // namespace
}  // namespace pomona
