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

// How long single images took, counted in steps of an eighth of a doubling: so the times of all
// workers can be added up, and a percentile is right to 5 %.
struct ImageTimes {
  std::map<int, int64_t> steps;  // images by step; those of no image are not in it

  void Add(double seconds);
  int64_t count() const;

  // What `share` of the images took no longer than. REQUIRES: count() > 0.
  double Percentile(double share) const;

  ImageTimes& operator+=(const ImageTimes& other) {
    for (const auto& [step, images] : other.steps) steps[step] += images;
    return *this;
  }
  ImageTimes& operator-=(const ImageTimes& other) {
    for (const auto& [step, images] : other.steps) {
      if ((steps[step] -= images) == 0) steps.erase(step);
    }
    return *this;
  }
};

// Seconds that workers spent, summed over them.
struct WorkerSeconds {
  double read = 0;
  double decode = 0;
  double resize = 0;
  double infer = 0;
  double reduce = 0;  // moments
  double store = 0;   // fragments to disk
  ImageTimes images;  // of those with features, from their bytes to these

  WorkerSeconds& operator+=(const WorkerSeconds& other) {
    read += other.read;
    decode += other.decode;
    resize += other.resize;
    infer += other.infer;
    reduce += other.reduce;
    store += other.store;
    images += other.images;
    return *this;
  }
  WorkerSeconds& operator-=(const WorkerSeconds& other) {
    read -= other.read;
    decode -= other.decode;
    resize -= other.resize;
    infer -= other.infer;
    reduce -= other.reduce;
    store -= other.store;
    images -= other.images;
    return *this;
  }
};

// Seconds of each stage, by the clock.
struct StageSeconds {
  double list = 0;
  double extract = 0;
  double fit = 0;
  double write = 0;
  double report = 0;  // what of it is gathered from tables and pictures
};

// " (corrupt 1, empty 2)"; empty where nothing was counted.
std::string CountsText(const std::map<std::string, int64_t>& counts);

// model_info_{id}: the original's eight fields first, under its names.
std::string ModelInfoJson(const std::string& run_id, const Pca& pca, const ModelIdentity& model,
                          std::string_view engine, DecodeMode decode);

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
