#include "pomona/run.h"

#include <filesystem>
#include <memory>
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
arrow::Status CheckApart(const std::string& input, const std::string& root,
                         const std::string& output) {
  const auto real = [&](const std::string& path) {
    if (IsS3Uri(path)) return path + '/';
    std::error_code error;
    const std::string found = std::filesystem::weakly_canonical(path, error).string();
    return (found.empty() ? path : found) + '/';  // opening it will say what is wrong
  };
  if (!real(root).starts_with(real(output))) return {};
  return arrow::Status::Invalid("INPUT ", input, " lies in OUTPUT ", output,
                                ", of which nothing is taken for input; name another OUTPUT");
}

// See Run().
arrow::Result<RunSummary> RunTree(const std::string& input, const std::string& output,
                                  const RunOptions& options, const RunHooks& hooks,
                                  const Executor* executor) {
  ARROW_RETURN_NOT_OK(Validate(options));
  if (executor && !options.shard.whole()) {
    return arrow::Status::Invalid(
        "shard: a run whose work Spark shares out is no shard of another");
  }
  ARROW_RETURN_NOT_OK(ResolveCpu(options.cpu));
  ARROW_ASSIGN_OR_RAISE(const std::string tree,
                        IsS3Uri(input) ? NormalS3Uri(input) : LocalPath(input));
  ARROW_ASSIGN_OR_RAISE(const auto published, OpenOutput(output, options.s3, hooks.cancel));
  ARROW_ASSIGN_OR_RAISE(const auto source, OpenTree(tree, options.s3, hooks.cancel));
  ARROW_RETURN_NOT_OK(CheckApart(tree, source->root(), published->location()));
  TellOfOtherFolders(*source, published->location(), hooks);
  TellOfColumnNames(published->location(), hooks);
  ARROW_ASSIGN_OR_RAISE(const auto weights, OpenWeights(options));
  const EngineFactory make_engine = [&] { return MakeEngine(*weights, options); };
  const ModelIdentity model = IdentityOf(*weights);
  if (!options.shard.whole()) {
    const auto open_output = [&] { return OpenOutput(output, options.s3, hooks.cancel); };
    return RunShard({*source, tree, open_output, make_engine, model, options, hooks});
  }
  return Job({*source, tree, *published, make_engine, model, options, hooks, executor}).Run();
}

}  // namespace

arrow::Result<RunSummary> Run(Source& source, const EngineFactory& make_engine,
                              const ModelIdentity& model, const std::string& input,
                              const std::string& output, const RunOptions& options,
                              const RunHooks& hooks) {
  return Guarded([&]() -> arrow::Result<RunSummary> {
    ARROW_RETURN_NOT_OK(Validate(options));
    if (!options.shard.whole()) {
      const auto open_output = [&]() -> arrow::Result<std::unique_ptr<Output>> {
        return std::make_unique<LocalOutput>(output);
      };
      return RunShard({source, input, open_output, make_engine, model, options, hooks});
    }
    LocalOutput published(output);
    return Job({source, input, published, make_engine, model, options, hooks}).Run();
  });
}

arrow::Result<RunSummary> Run(const std::string& input, const std::string& output,
                              const RunOptions& options, const RunHooks& hooks,
                              const Executor* executor) {
  RunHooks local_hooks = hooks;
  if (!local_hooks.started) local_hooks.started = std::chrono::steady_clock::now();
  return Guarded([&] { return RunTree(input, output, options, local_hooks, executor); });
}

}  // namespace pomona
