// One run, from the listing to what is published.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "extract_fragments.h"
#include "listing.h"
#include "pomona/engine.h"
#include "pomona/options.h"
#include "pomona/pca.h"
#include "pomona/reports.h"
#include "pomona/run.h"
#include "pomona/source.h"
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
};

// Steps, each of which takes what the ones before gave. Whatever a task of a step needs beside its
// number is in the options and in the work folder.
//
// Threads: one caller.
class Job {
 public:
  explicit Job(const JobInput& input);

  // Takes the output, does the work and publishes it, or abandons it. Called once.
  // Errors: see Run() of pomona/run.h.
  arrow::Result<RunSummary> Run();

 private:
  using Clock = std::chrono::steady_clock;

  arrow::Result<RunSummary> RunSteps();
  arrow::Status Begin();
  void FindEarlierRun();
  arrow::Status ExtractAll();
  arrow::Status CheckExtraction();
  arrow::Result<Pca> FitWhileWritingFeatures();
  arrow::Result<Pca> Fit();
  arrow::Status WriteAllProjections(const Pca& pca);
  arrow::Status WriteReports(const Pca& pca);
  arrow::Status Publish();

  arrow::Status TellOfOtherFragments();
  arrow::Status CheckRejects() const;
  arrow::Status CheckEnough() const;
  arrow::Result<std::string> ReportRejects() const;
  ExtractedRun extracted() const;
  int64_t rows_to_write() const;
  int64_t SpaceNeeded() const;
  void Tell(const Progress& progress) const;
  Output::Poll TellUploaded() const;
  void Log(const std::string& text) const;

  const JobInput in_;
  const Clock::time_point started_;
  Stopwatch stage_;  // since the stage that is under way began

  RunSummary summary_;
  RunDetails details_;
  std::unique_ptr<Engine> engine_;
  std::string recipe_;  // what the features depend on beside the items
  std::unique_ptr<EarlierRun> earlier_;
  std::unique_ptr<ItemSpool> items_;
  std::unique_ptr<Listing> listing_;
  std::vector<ListedFragment> fragments_;
  Kept kept_;
};

}  // namespace pomona
