// One run, from the listing to what is published.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "extract_fragments.h"
#include "listing.h"
#include "metrics.h"
#include "plan.h"
#include "pomona/engine.h"
#include "pomona/executor.h"
#include "pomona/options.h"
#include "pomona/pca.h"
#include "pomona/reports.h"
#include "pomona/run.h"
#include "pomona/source.h"
#include "report/report.h"
#include "run_tasks.h"
#include "stopwatch.h"
#include "store/earlier_run.h"
#include "store/item_spool.h"
#include "store/output.h"
#include "write_parts.h"

namespace pomona {

// What a job works on; all of it outlives the job.
struct JobInput {
  Source& source;
  std::string input;  // what the source lists, as it is reported
  Output& output;
  const EngineFactory& make_engine;
  const ModelIdentity& model;
  const RunOptions& options;
  const RunHooks& hooks;
  const Pca* pca = nullptr;            // by which it projects; null: it fits one
  const Executor* executor = nullptr;  // who does the tasks; null: threads of this process
  MetricsFile* metrics = nullptr;      // null: none are asked for

  // Nothing is listed or extracted: the work folder holds the plan of the run options.run_id and
  // its fragments, or most of them.
  bool planned = false;
};

// Steps, each of which takes what the ones before gave. Whatever a task of a step needs beside its
// number is in the plan and in the work folder; so it does not matter who does it.
//
// Threads: one caller.
class Job {
 public:
  explicit Job(const JobInput& input);

  // Takes the output, does the work and publishes it, or abandons it. Called once.
  // Errors: see Run() of pomona/run.h.
  arrow::Result<RunSummary> Run();

  // Instead: takes the output, lists, writes the plan and gives the output up, for others to do the
  // rest. Called once. Errors: as for Run().
  arrow::Status PlanForOthers();

 private:
  using Clock = std::chrono::steady_clock;

  arrow::Status Lock();
  arrow::Result<RunSummary> RunSteps();
  arrow::Status Begin();
  void FindEarlierRun();
  arrow::Status ExtractAll();
  arrow::Result<Extraction> ExtractHere();
  arrow::Result<Extraction> ExtractElsewhere();
  arrow::Result<Extraction> CountExtracted();
  void StartListing();
  arrow::Status ListAll();
  void TakeListing();
  arrow::Status WritePlan();
  arrow::Status CheckExtraction();
  arrow::Status MergeAll();
  arrow::Result<Pca> FitWhileWritingFeatures();
  arrow::Result<Pca> Fit(int threads);
  arrow::Status WriteAllProjections(const Pca& pca);
  arrow::Status WriteReports(const Pca& pca);
  arrow::Result<std::vector<Section>> Report();
  arrow::Status Publish();
  void UpdateCard() const;

  using Work = std::function<arrow::Status(size_t task)>;
  arrow::Status RunStage(const TaskStage& stage, size_t tasks, const Work& here,
                         const std::function<void()>& poll,
                         const std::function<arrow::Status()>& meanwhile = {});
  arrow::Status RunElsewhere(const TaskStage& stage,
                             const std::function<void(const TaskResult&)>& take);

  arrow::Status TellOfOtherFragments();
  arrow::Status CheckRejects() const;
  arrow::Status CheckEnough() const;
  arrow::Result<std::string> ReportRejects() const;
  arrow::Status CheckWritten(const char* what) const;
  ExtractedRun extracted() const;
  int64_t rows_to_write() const;
  int64_t SpaceNeeded() const;
  void Tell(const Progress& progress) const;
  void Measure(const Extraction& extraction, const TransferCounts& reads) const;
  void EndOutput() const;
  Output::Poll TellUploaded() const;
  void Log(const std::string& text) const;

  const JobInput in_;
  const Clock::time_point started_;
  Stopwatch stage_;  // since the stage that is under way began

  RunSummary summary_;
  RunDetails details_;
  std::unique_ptr<Engine> engine_;
  Plan plan_;
  std::unique_ptr<EarlierRun> earlier_;
  std::unique_ptr<ItemSpool> items_;
  std::unique_ptr<Listing> listing_;
  Kept kept_;
  std::vector<int64_t> first_rows_;     // see FirstRows()
  std::set<std::string> told_;          // notes of tasks
  std::atomic<int64_t> rows_done_ = 0;  // of the stage that is under way
};

}  // namespace pomona
