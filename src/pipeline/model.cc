#include "model.h"

#include <algorithm>

#include "allowance.h"
#include "pomona/version.h"

namespace pomona {

arrow::Result<std::shared_ptr<const Weights>> OpenWeights(const RunOptions& options) {
  if (!options.weights.empty()) return Weights::Open(options.weights);
  ARROW_ASSIGN_OR_RAISE(const std::string path, FindDefaultWeights());
  return Weights::Open(path);
}

ModelIdentity IdentityOf(const Weights& weights) {
  return {weights.digest(), weights.is_imagenet(), weights.alpha(), &weights.preprocessing()};
}

std::string RecipeOf(const std::string& weights_digest, const std::string& preprocessing,
                     std::string_view engine) {
  return weights_digest + '\n' + preprocessing + '\n' + std::string(engine) + '\n' + kVersion;
}

std::string FragmentRecipeOf(const std::string& recipe, StatsKind stats) {
  return stats == StatsKind::kNone ? recipe : recipe + "\nstats " + std::string(StatsName(stats));
}

arrow::Result<std::unique_ptr<Engine>> MakeEngine(const Weights& weights,
                                                  const RunOptions& options) {
  switch (options.engine) {
    case EngineKind::kNative: return MakeNativeEngine(weights, options.cpu);
    case EngineKind::kGpu:
      return MakeGpuEngine(weights, options.cpu, options.device, ThreadCount(options.threads));
    case EngineKind::kOpenVino: return MakeOpenVinoEngine(weights, ThreadCount(options.threads));
  }
  return arrow::Status::UnknownError("no such engine");
}

std::string NewTrouble(const Engine& engine, bool* told) {
  if (*told) return "";
  const auto device = engine.device_use();
  if (!device || device->trouble.empty()) return "";
  *told = true;
  return "the CPU computes: " + device->trouble;
}

int WorkerCount(int threads, int workers_per_thread) {
  const int room = std::max(0, AllowedThreads() - threads) / 2;  // pictures have the other half
  return threads + std::min(threads * (workers_per_thread - 1), room);
}

}  // namespace pomona
