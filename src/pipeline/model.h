// The network that the options ask for.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>
#include <string_view>

#include "pomona/engine.h"
#include "pomona/extractor.h"
#include "pomona/options.h"
#include "pomona/run.h"
#include "pomona/weights.h"

namespace pomona {

ModelIdentity IdentityOf(const Weights& weights);

// What features depend on beside the items.
std::string RecipeOf(const std::string& weights_digest, const std::string& preprocessing,
                     std::string_view engine);

// The same of a fragment's results, which hold statistics as well.
std::string FragmentRecipeOf(const std::string& recipe, StatsKind stats);

arrow::Result<std::unique_ptr<Engine>> MakeEngine(const Weights& weights,
                                                  const RunOptions& options);

// Why the CPU computes in the place of a device, the first time that it is so; else empty.
std::string NewTrouble(const Engine& engine, bool* told);

// How many workers keep so many threads' cores busy, as far as this process' memory goes.
int WorkerCount(int threads, int workers_per_thread);

}  // namespace pomona
