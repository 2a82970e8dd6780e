// JSON and CSV about a run: the model, the variance, the run itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "pomona/options.h"
#include "pomona/pca.h"
#include "pomona/run.h"

namespace pomona {

// Seconds that workers spent, summed over them.
struct WorkerSeconds {
  double read = 0;
  double decode = 0;
  double resize = 0;
  double infer = 0;
  double reduce = 0;  // moments
  double store = 0;   // fragments to disk

  WorkerSeconds& operator+=(const WorkerSeconds& other) {
    read += other.read;
    decode += other.decode;
    resize += other.resize;
    infer += other.infer;
    reduce += other.reduce;
    store += other.store;
    return *this;
  }
  WorkerSeconds& operator-=(const WorkerSeconds& other) {
    read -= other.read;
    decode -= other.decode;
    resize -= other.resize;
    infer -= other.infer;
    reduce -= other.reduce;
    store -= other.store;
    return *this;
  }
};

// Seconds of each stage, by the clock.
struct StageSeconds {
  double list = 0;
  double extract = 0;
  double fit = 0;
  double write = 0;
};

// " (corrupt 1, empty 2)"; empty where nothing was counted.
std::string CountsText(const std::map<std::string, int64_t>& counts);

// model_info_{id}: the original's eight fields first, under its names.
std::string ModelInfoJson(const std::string& run_id, const Pca& pca, const ModelIdentity& model,
                          std::string_view engine);

// variance_{id}.
std::string VarianceCsv(const Pca& pca);

// What run_info_{id} says beside the summary.
struct RunDetails {
  std::string input;
  std::string output;
  int threads = 0;
  std::string engine;
  StageSeconds stages;
  WorkerSeconds workers;
  TransferCounts reads;                     // from S3
  TransferCounts writes;                    // to S3, but for the last files
  std::optional<double> first_row_seconds;  // until the first image's features were there
};

std::string RunInfoJson(const RunSummary& summary, const RunDetails& details,
                        const RunOptions& options);

// The largest resident memory of this process so far, in bytes.
int64_t PeakMemoryBytes();

}  // namespace pomona
