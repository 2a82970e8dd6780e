// What a run tells Prometheus while it goes on: docs/metrics.md has the table of names.
#pragma once

#include <arrow/result.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "extract_fragments.h"
#include "pomona/cancel.h"
#include "pomona/reports.h"
#include "pomona/run.h"
#include "pomona/transfers.h"

namespace pomona {

// Everything that is told; what is not known yet is 0 or empty. Times are seconds since 1970.
struct Metrics {
  std::string file;           // a label of everything, so that a machine may have several
  std::string input, output;  // as they were named
  std::string stage;          // of Progress, "plan" or "wait"; empty: none yet, or none any more
  Counts counts;              // `listed`: so far
  int64_t done = 0;           // of these, by whoever does the work
  std::map<std::string, int64_t> rejects_by_reason, skips_by_reason;
  WorkerSeconds work;
  TransferCounts reads, writes;
  int64_t resident_bytes = 0, peak_bytes = 0;
  double started = 0, updated = 0;
  std::optional<double> ended;
  bool success = false;
};

// In Prometheus' text format (version 0.0.4), without timestamps: the same series whatever happened.
std::string MetricsText(const Metrics& metrics);

// A file of them, for the textfile collector of node_exporter: replaced every few seconds by a
// thread of its own, when the run ends, and as soon as it is to end: it may not be left the time.
// Once somebody else has replaced it, it is theirs.
//
// Threads: any number at once.
class MetricsFile {
 public:
  // Writes it for the first time. Errors: Invalid where it cannot be written, or not to this place;
  // IOError where there is no thread to be had, which the file tells as the end of the run.
  static arrow::Result<std::unique_ptr<MetricsFile>> Start(const std::string& file,
                                                           const std::string& input,
                                                           const std::string& output,
                                                           CancelToken cancel);
  ~MetricsFile();

  // What a shard publishes in the end is not its own: of that only Hear() and HearWrites() are told.
  void Hear(const Progress& progress);
  void HearExtraction(const Extraction& extraction, const TransferCounts& reads);
  // That a shard lists for all of them from now on, or for itself; and that it waits for others.
  void HearPlanning(bool planning);
  void HearWaiting();
  // Of the output that is written to now; and its last counts, after which those of another follow.
  void HearWrites(const TransferCounts& writes);
  void EndOutput(const TransferCounts& writes);

  // Writes it for the last time. Errors: the first that kept it from being written since the start.
  arrow::Status Finish(bool success);

 private:
  MetricsFile(std::string file, CancelToken cancel) : file_(std::move(file)), cancel_(cancel) {}
  arrow::Status Write();
  void WriteEverySoOften();
  void StopWriting();

  // What tells a file from those that stood in its place before or after.
  using Identity = std::array<int64_t, 4>;
  static std::optional<Identity> IdentityOf(const std::string& file);

  const std::string file_;
  const CancelToken cancel_;
  std::optional<Identity> written_;  // last; of whoever calls Write(), which is one at a time

  std::mutex mutex_;  // for what is below
  Metrics metrics_;
  TransferCounts ended_writes_;
  bool planning_ = false;
  arrow::Status status_;
  bool ended_ = false;
  std::condition_variable changed_;

  std::thread thread_;
};

}  // namespace pomona
