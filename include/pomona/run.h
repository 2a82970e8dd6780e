// The whole job: a source's items in, published outputs of one run out.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/engine.h"
#include "pomona/executor.h"
#include "pomona/options.h"
#include "pomona/pca.h"
#include "pomona/refusal.h"
#include "pomona/source.h"

namespace pomona {

// What happened to the items of a run. listed = rows + rejects + skips, or the run fails.
struct Counts {
  int64_t listed = 0;   // items that the options select
  int64_t rows = 0;     // images with features
  int64_t rejects = 0;  // images without
  int64_t skips = 0;    // files that are no image
  int64_t resumed = 0;  // of `listed`: taken from an earlier, unfinished run
  int64_t reused = 0;   // of `rows`: features of unchanged images, taken from a published run
};

struct Progress {
  std::string_view stage;  // "list", "extract", "fit", "write", "upload"
  int64_t done = 0;        // items, rows or (uploaded) bytes of this stage
  int64_t total = 0;       // 0 where not known yet: while items are still being listed, too
  Counts counts;
};

struct RunHooks {
  // Called several times a second, always on the thread that called Run().
  std::function<void(const Progress&)> progress;

  // Hears a line about something the user should know, on the thread that called Run().
  std::function<void(const std::string&)> log;

  // Ends the run soon; Run() then returns Cancelled.
  CancelToken cancel;

  // What the seconds in reports count from; unset: the call of Run(). The command line gives the
  // start of its process.
  std::optional<std::chrono::steady_clock::time_point> started;
};

// A published run, or what a shard made of one.
struct RunSummary {
  std::string run_id;
  Counts counts;
  std::string reused_run_id;  // the run that counts.reused rows are from
  std::map<std::string, int64_t> rejects_by_reason;
  std::map<std::string, int64_t> skips_by_reason;
  int64_t unlabelled = 0;         // of counts.listed: in no folder, as right in a bucket
  int components = 0;             // of the PCA
  std::string given_pca;          // its digest, where an earlier run fitted it
  double variance_explained = 0;  // share of the total variance in the components kept
  double seconds = 0;             // from RunHooks::started
  double images_per_second = 0;   // items of the extract stage, without resumed and
                                  // reused ones, over its time
  int64_t peak_memory_bytes = 0;
  std::vector<std::string> folders;  // that were published, below the output

  // Of a shard: fragments of the run that others still have to make, so that it is not published
  // yet; the counts above are those of this shard's items then.
  int64_t fragments_missing = 0;
  bool published_elsewhere = false;  // by another shard

  // Whether this call published the run.
  bool published() const { return fragments_missing == 0 && !published_elsewhere; }
};

// What the program prints of it: two lines, how much was done how fast, and what became of the
// files; of a shard that did not publish the run one.
std::string Describe(const RunSummary& summary);

// Runs the job on the tree `input` (see OpenTree()), publishing into `output`: a folder, or
// s3://bucket/prefix.
//
// `executor`: does the work in place of this process' threads; see pomona/executor.h.
//
// Memory: bounded by threads and fragment size, not by the number of images.
// Errors: Invalid for options or input that cannot work, AlreadyExists for the id of a run that is
// published, Cancelled, IOError; with a RunRefusal
// detail where the bound on rejects was passed or another run holds the output. Nothing is
// published then, and the same call resumes.
arrow::Result<RunSummary> Run(const std::string& input, const std::string& output,
                              const RunOptions& options, const RunHooks& hooks = {},
                              const Executor* executor = nullptr);

// What the outputs say of the weights that the engine runs.
struct ModelIdentity {
  std::string digest;
  bool imagenet = false;
  double alpha = 1.0;
  const Preprocessing* preprocessing = &kKerasPreprocessing;  // of their pictures
};

// The PCA that options.pca names, for features of this model; nothing where none is named. The
// options take over what it decides: components, center, standardize.
// Errors: Invalid where the options ask for another, or it was fitted on other features; IOError.
arrow::Result<std::optional<Pca>> OpenGivenPca(RunOptions* options, const ModelIdentity& model,
                                               const RunHooks& hooks = {});

// What the features are made with that a run of these options computes.
FeatureOrigin OriginOf(const ModelIdentity& model, DecodeMode decode);

// Called once the output is locked.
using EngineFactory = std::function<arrow::Result<std::unique_ptr<Engine>>()>;

// The same with the source and the engine given: for tests and other front ends. `input` and
// `output` are local paths; `input` is only reported.
arrow::Result<RunSummary> Run(Source& source, const EngineFactory& make_engine,
                              const ModelIdentity& model, const std::string& input,
                              const std::string& output, const RunOptions& options,
                              const RunHooks& hooks = {});

}  // namespace pomona
