// JSON and CSV about a run: the model, the variance, the run itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "pomona/device.h"
#include "pomona/durations.h"
#include "pomona/options.h"
#include "pomona/pca.h"
#include "pomona/run.h"

namespace pomona {

// What workers spent and read, summed over them.
struct WorkerSeconds {
  Durations read;    // of each file
  Durations decode;  // of each file that could be read
  Durations resize;  // of each picture
  Durations infer;   // the same
  Durations reduce;  // moments, of each fragment
  Durations store;   // the same to disk
  Durations images;  // of each image with features, from its bytes to these
  int64_t read_bytes = 0;

  WorkerSeconds& operator+=(const WorkerSeconds& other) {
    for (const auto part : kParts) this->*part += other.*part;
    read_bytes += other.read_bytes;
    return *this;
  }
  WorkerSeconds& operator-=(const WorkerSeconds& other) {
    for (const auto part : kParts) this->*part -= other.*part;
    read_bytes -= other.read_bytes;
    return *this;
  }

 private:
  static constexpr auto kParts = {
      &WorkerSeconds::read,   &WorkerSeconds::decode, &WorkerSeconds::resize, &WorkerSeconds::infer,
      &WorkerSeconds::reduce, &WorkerSeconds::store,  &WorkerSeconds::images};
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

// The PCA of a run, and of how many images.
struct RunPca {
  const Pca& pca;
  int64_t images = 0;  // that the run projected
  bool given = false;  // an earlier run fitted it
};

// model_info_{id}: the original's eight fields first, under its names.
std::string ModelInfoJson(const std::string& run_id, const RunPca& run, const ModelIdentity& model,
                          std::string_view engine, DecodeMode decode);

// variance_{id}.
std::string VarianceCsv(const Pca& pca);

// What run_info_{id} says beside the summary.
struct RunDetails {
  std::string input;
  std::string output;
  int threads = 0;
  std::string engine;
  std::optional<DeviceUse> device;  // none: nobody asked for one, or tasks have it
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
