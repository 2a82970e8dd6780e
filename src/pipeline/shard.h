// A run that machines share by themselves: each does its part, the last one publishes.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <memory>

#include "job.h"

namespace pomona {

// What a shard works on; the output is opened anew for each of its parts in the run.
struct ShardInput {
  Source& source;
  std::string input;
  std::function<arrow::Result<std::unique_ptr<Output>>()> open_output;
  const EngineFactory& make_engine;
  const ModelIdentity& model;
  const RunOptions& options;
  const RunHooks& hooks;
  const Pca* pca = nullptr;        // as a job's
  MetricsFile* metrics = nullptr;  // null: none are asked for
};

// The first shard that comes lists the input and writes the plan, whichever it is; the others join.
// Each makes its fragments, every count-th one. Whoever sees that none is missing fits, writes and
// publishes; where two see it at once, the one who gets the output does. A shard that is run again
// makes what is missing of its part; one that comes after the run was published does nothing.
// Errors: see Run().
arrow::Result<RunSummary> RunShard(const ShardInput& in);

}  // namespace pomona
