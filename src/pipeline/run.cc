#include "pomona/run.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "guarded.h"
#include "job.h"
#include "messages.h"
#include "model.h"
#include "pomona/location.h"
#include "shard.h"
#include "store/local_output.h"

namespace pomona {
namespace {

// Refuses an input all of which is left out, since it is the output's.
arrow::Status CheckApart(const std::string& root, const std::string& output) {
  const auto real = [&](const std::string& path) {
    if (IsS3Uri(path)) return path + '/';
    std::error_code error;
    const std::string found = std::filesystem::weakly_canonical(path, error).string();
    return (found.empty() ? path : found) + '/';  // opening it will say what is wrong
  };
  if (!real(root).starts_with(real(output))) return {};
  return arrow::Status::Invalid("OUTPUT ", output, real(root) == real(output) ? " is" : " holds",
                                " the folder that is read, and nothing in it is taken for input; "
                                "name another OUTPUT");
}

// Runs a job, and has its metrics written meanwhile where the options ask for them.
using RunFunction =
    std::function<arrow::Result<RunSummary>(const RunHooks& hooks, MetricsFile* metrics)>;
arrow::Result<RunSummary> Measured(const RunFunction& run, const std::string& input,
                                   const std::string& output, const RunOptions& options,
                                   const RunHooks& hooks) {
  ARROW_RETURN_NOT_OK(Validate(options));
  if (options.metrics.empty()) return run(hooks, nullptr);
  ARROW_ASSIGN_OR_RAISE(const auto metrics,
                        MetricsFile::Start(options.metrics, input, output, hooks.cancel));
  RunHooks heard = hooks;
  heard.progress = [&](const Progress& progress) {
    metrics->Hear(progress);
    if (hooks.progress) hooks.progress(progress);
  };
  auto summary = Guarded([&] { return run(heard, metrics.get()); });
  const arrow::Status written = metrics->Finish(summary.ok());
  if (!written.ok() && hooks.log) {
    hooks.log("the metrics could not always be written: " + written.message());
  }
  return summary;
}

// See Run().
arrow::Result<RunSummary> RunTree(const std::string& input, const std::string& output,
                                  const RunOptions& given_options, const RunHooks& hooks,
                                  const Executor* executor, MetricsFile* metrics) {
  RunOptions options = given_options;
  if (executor && !options.shard.whole()) {
    return arrow::Status::Invalid(
        "shard: a run whose work Spark shares out is no shard of another");
  }
  ARROW_RETURN_NOT_OK(ResolveCpu(options.cpu));
  ARROW_ASSIGN_OR_RAISE(const std::string tree,
                        IsS3Uri(input) ? NormalS3Uri(input) : LocalPath(input));
  ARROW_ASSIGN_OR_RAISE(const auto published, OpenOutput(output, options.s3, hooks.cancel));
  ARROW_ASSIGN_OR_RAISE(const auto source, OpenTree(tree, options.s3, hooks.cancel));
  ARROW_RETURN_NOT_OK(CheckApart(source->root(), published->location()));
  TellOfOtherFolders(*source, published->location(), hooks);
  TellOfColumnNames(published->location(), hooks);
  ARROW_ASSIGN_OR_RAISE(const auto weights, OpenWeights(options));
  // The machine that shares work out computes nothing, and need not have the device.
  RunOptions engine_options = options;
  if (executor && options.engine == EngineKind::kGpu) engine_options.engine = EngineKind::kNative;
  const EngineFactory make_engine = [&] { return MakeEngine(*weights, engine_options); };
  const ModelIdentity model = IdentityOf(*weights);
  ARROW_ASSIGN_OR_RAISE(const std::optional<Pca> given, OpenGivenPca(&options, model, hooks));
  const Pca* const pca = given ? &*given : nullptr;
  if (!options.shard.whole()) {
    const auto open_output = [&] { return OpenOutput(output, options.s3, hooks.cancel); };
    return RunShard({*source, tree, open_output, make_engine, model, options, hooks, pca, metrics});
  }
  return Job({*source, tree, *published, make_engine, model, options, hooks, pca, executor,
              metrics})
      .Run();
}

}  // namespace

arrow::Result<RunSummary> Run(Source& source, const EngineFactory& make_engine,
                              const ModelIdentity& model, const std::string& input,
                              const std::string& output, const RunOptions& given_options,
                              const RunHooks& hooks) {
  const auto run = [&](const RunHooks& heard, MetricsFile* metrics) -> arrow::Result<RunSummary> {
    RunOptions options = given_options;
    ARROW_ASSIGN_OR_RAISE(const std::optional<Pca> given, OpenGivenPca(&options, model, heard));
    const Pca* const pca = given ? &*given : nullptr;
    if (!options.shard.whole()) {
      const auto open_output = [&]() -> arrow::Result<std::unique_ptr<Output>> {
        return std::make_unique<LocalOutput>(output);
      };
      return RunShard(
          {source, input, open_output, make_engine, model, options, heard, pca, metrics});
    }
    LocalOutput published(output);
    return Job({source, input, published, make_engine, model, options, heard, pca, nullptr,
                metrics})
        .Run();
  };
  return Guarded([&] { return Measured(run, input, output, given_options, hooks); });
}

arrow::Result<RunSummary> Run(const std::string& input, const std::string& output,
                              const RunOptions& options, const RunHooks& hooks,
                              const Executor* executor) {
  RunHooks local_hooks = hooks;
  if (!local_hooks.started) local_hooks.started = std::chrono::steady_clock::now();
  const auto run = [&](const RunHooks& heard, MetricsFile* metrics) {
    return RunTree(input, output, options, heard, executor, metrics);
  };
  return Guarded([&] { return Measured(run, input, output, options, local_hooks); });
}

}  // namespace pomona
