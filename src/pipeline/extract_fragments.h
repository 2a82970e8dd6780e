// The stage that takes the time: items -> fragments of features.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "listing.h"
#include "pomona/engine.h"
#include "pomona/reports.h"
#include "pomona/run.h"
#include "pomona/source.h"
#include "store/earlier_run.h"
#include "store/work_folder.h"

namespace pomona {

struct Extraction {
  Counts counts;
  std::map<std::string, int64_t> rejects_by_reason;
  std::map<std::string, int64_t> skips_by_reason;
  std::map<size_t, int64_t> rows_by_fragment;  // by the place of its first item in the run
  WorkerSeconds seconds;
  // When the first image's features were there; nothing where every fragment was resumed.
  std::optional<std::chrono::steady_clock::time_point> first_row;

  void Count(const FragmentRange& range, const FragmentReport& report);

  // Adds what another one spent and took over, and what became of its items.
  void AddWork(const Extraction& other);
  void AddVerdicts(const Extraction& other);
};

// What is stored of a run: what the same command need not do again.
struct Kept {
  int64_t items = 0;
  int64_t listed = 0;  // 0: not known yet
};

struct ExtractionInput {
  Source& source;
  Engine& engine;
  EarlierRun* earlier;  // whose features are reused; may be null
  FragmentQueue& fragments;
  const WorkFolder& work;  // for the fragments
  int threads;
  const RunOptions& options;
  const RunHooks& hooks;
  std::function<arrow::Status()> on_listed;  // called by the calling thread, as soon as all is
  // Hears several times a second what there is so far, on the calling thread; may be empty.
  std::function<void(const Extraction&)> measure = {};
  bool listed_here = true;  // by this process, which so knows that it sees the files
  // Asked as often whether to go on; may be empty.
  std::function<arrow::Status()> check = {};
};

// Makes the fragments that are not stored yet, as they become known. Each worker carries one image
// after another from bytes to features, straight into its row of the fragment; whoever finishes the
// last image of a fragment adds up its moments and stores it. So no image waits in a queue, and
// memory is bounded by the two fragments that may be open at once.
//
// What is done of an open fragment is stored beside it every `save_seconds`, and at the end of an
// extraction that fails, for the next one to go on from.
//
// `kept` is filled in whatever the outcome.
// Errors: the first of a worker's or the listing's; OutOfMemory, which names the image at hand;
// Cancelled. What was stored stays.
arrow::Result<Extraction> ExtractFragments(const ExtractionInput& input, Kept* kept);

}  // namespace pomona
