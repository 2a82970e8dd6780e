// pomona neighbours OUTPUT --image FILE|PATH [-k N] [--json]
#include <arrow/array.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "pomona/extractor.h"
#include "pomona/index.h"
#include "pomona/item.h"
#include "pomona/location.h"
#include "progress.h"

namespace pomona::cli {
namespace {

struct NeighboursArguments {
  std::string output;
  std::string run_id;
  std::string image;
  int count = 10;
  RunOptions options;  // of the picture
  bool json = false;
};

// The image of the run that is meant by its path as published, or as it is written here.
std::optional<uint32_t> FindImage(const Index& index, const std::string& text) {
  if (const auto row = index.Find(text)) return row;
  const auto path = LocalPath(text);
  return path.ok() ? index.Find(EscapeName(*path)) : std::nullopt;
}

std::string TextOf(const arrow::RecordBatch& batch, const char* column) {
  const auto& texts = static_cast<const arrow::StringArray&>(*batch.GetColumnByName(column));
  return texts.IsNull(0) ? std::string() : texts.GetString(0);
}

// Of a picture that the run has not.
arrow::Result<std::vector<float>> FeaturesOf(const std::string& file, const Index& index,
                                             RunOptions options, CancelToken cancel) {
  options.threads = 1;
  ARROW_ASSIGN_OR_RAISE(const auto weights, OpenWeights(options));
  ARROW_ASSIGN_OR_RAISE(const auto extractor,
                        Extractor::MakeFor(index.origin(), *weights, options));
  const Image image = {{}, file};
  RunHooks hooks;
  hooks.cancel = cancel;
  ARROW_ASSIGN_OR_RAISE(const auto batch, extractor->Extract({&image, 1}, hooks));
  const std::string verdict = TextOf(*batch, "verdict"), reason = TextOf(*batch, "reason");
  if (verdict == VerdictName(Verdict::kRow)) {
    const auto& lists = static_cast<const arrow::ListArray&>(*batch->GetColumnByName("features"));
    const auto& values = static_cast<const arrow::FloatArray&>(*lists.values());
    return std::vector<float>(values.raw_values(), values.raw_values() + values.length());
  }
  if (reason == ReasonName(Reason::kMissing) || IsS3Uri(file)) {
    const std::string like = index.size() > 0 ? ", as in " + std::string(index.path(0)) : "";
    return arrow::Status::Invalid(file, ": neither the path of an image of the run ",
                                  index.run_id(), like, ", nor a file of this machine");
  }
  const std::string message = TextOf(*batch, "message");
  return arrow::Status::Invalid(file, ": ", reason, message.empty() ? "" : ": ", message);
}

void PrintNeighbours(const Index& index, const std::vector<Neighbour>& found,
                     const NeighboursArguments& arguments) {
  size_t widest = 0;
  for (const Neighbour& near : found) widest = std::max(widest, index.label(near.row).size());
  if (!arguments.json) {
    Print("nearest to " + arguments.image + " among the " + std::to_string(index.size()) +
          " images of run " + index.run_id() + ": rank, distance, label, path");
  }
  for (size_t i = 0; i < found.size(); ++i) {
    const std::string path(index.path(found[i].row));
    std::string label(index.label(found[i].row));
    if (arguments.json) {
      const nlohmann::ordered_json line = {
          {"rank", i + 1}, {"distance", found[i].distance}, {"label", label}, {"path", path}};
      PrintJsonLine(line);
      continue;
    }
    char numbers[64];
    std::snprintf(numbers, sizeof numbers, "%4zu  %.6f  ", i + 1, found[i].distance);
    label.resize(widest, ' ');
    Print(numbers + label + "  " + path);
  }
}

arrow::Result<ExitCode> FindNeighbours(const NeighboursArguments& arguments) {
  ProgressPrinter printer(ProgressStyle::kAuto);
  AuditHooks hooks;
  hooks.progress = [&](std::string_view stage, int64_t done, int64_t total) {
    printer({stage, done, total, {}});
  };
  hooks.cancel = CatchInterrupts();
  const auto opened = Index::Open(
      arguments.output,
      {arguments.run_id, arguments.options.threads, arguments.options.cpu, arguments.options.s3},
      hooks);
  printer.Finish();
  ARROW_RETURN_NOT_OK(opened);
  const Index& index = **opened;
  hooks.progress = {};
  std::vector<Neighbour> found;
  if (const auto row = FindImage(index, arguments.image)) {
    ARROW_ASSIGN_OR_RAISE(found, index.SearchOthers(*row, arguments.count, hooks));
  } else {
    ARROW_ASSIGN_OR_RAISE(const auto features,
                          FeaturesOf(arguments.image, index, arguments.options, hooks.cancel));
    ARROW_ASSIGN_OR_RAISE(found, index.Search(features, arguments.count, hooks));
  }
  PrintNeighbours(index, found, arguments);
  return ExitCode::kComplete;
}

}  // namespace

void AddNeighboursCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<NeighboursArguments>();
  CLI::App* command =
      app.add_subcommand("neighbours", "Find the images of a published run nearest to a picture");
  command->add_option("OUTPUT", arguments->output, "Folder or s3://bucket/prefix of the run")
      ->required()
      ->check(kPlace);
  command
      ->add_option("--image", arguments->image,
                   "An image of the run, by its path there, or else any picture file")
      ->required()
      ->type_name("FILE|PATH");
  command->add_option("-k,--count", arguments->count, "How many of them")
      ->capture_default_str()
      ->check(Integer(1))
      ->type_name("N");
  AddRunId(command, &arguments->run_id, "The run to search (default: the latest)");
  command->add_flag("--json", arguments->json, "One JSON object per image");
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    const std::string_view name = spec.name;
    if (name == "threads" || name == "memory" || name == "weights" || name == "s3-endpoint" ||
        name == "s3-anonymous") {
      AddRunOption(command, spec, &arguments->options);
    }
  }
  command->callback(
      [arguments, action] { *action = [arguments] { return FindNeighbours(*arguments); }; });
}

}  // namespace pomona::cli
