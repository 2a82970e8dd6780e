// pomona show: which runs an output holds, or what is in one of them.
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "pomona/published_output.h"

namespace pomona::cli {
namespace {

using nlohmann::ordered_json;

struct ShowArguments {
  std::string output;
  std::string run_id;
  S3Options s3;
  bool json = false;
};

void PrintLines(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) Print(line);
}

// "2026-11-28T19:50:12Z", or null.
ordered_json Time(const std::optional<int64_t>& time) {
  const std::time_t seconds = time.value_or(0) / 1'000'000'000;
  std::tm utc = {};
  if (!time || !gmtime_r(&seconds, &utc)) return nullptr;
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc));
}

ordered_json JsonOf(const PublishedRun& run) {
  return {{"run_id", run.run_id},
          {"published", Time(run.published_ns)},
          {"files", run.files},
          {"bytes", run.bytes},
          {"run_info", ordered_json::parse(run.info, nullptr, /*allow_exceptions=*/false)}};
}

arrow::Result<ExitCode> ShowRun(const PublishedOutput& output, const ShowArguments& arguments) {
  ARROW_ASSIGN_OR_RAISE(const RunContents contents, output.Contents(arguments.run_id));
  if (!arguments.json) {
    PrintLines(Describe(contents));
    return ExitCode::kComplete;
  }
  ordered_json json = JsonOf(contents.run);
  json["variance_by_component"] = contents.variance;
  json["rows_by_label"] = contents.rows_by_label;
  PrintJsonLine(json);
  return ExitCode::kComplete;
}

arrow::Result<ExitCode> ShowRuns(const PublishedOutput& output, const ShowArguments& arguments) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<PublishedRun> runs, output.Runs());
  if (!arguments.json) PrintLines(Describe(runs));
  ExitCode code = ExitCode::kComplete;
  for (const PublishedRun& run : runs) {
    if (!run.problem.empty()) {
      PrintError(run.problem);
      code = ExitCode::kFailed;
    }
    if (arguments.json) PrintJsonLine(JsonOf(run));
  }
  return code;
}

}  // namespace

void AddShowCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<ShowArguments>();
  CLI::App* show = app.add_subcommand("show", "List the published runs, or describe one");
  show->add_option("OUTPUT", arguments->output, "Folder or s3://bucket/prefix of the runs")
      ->required()
      ->check(kPlace);
  AddRunId(show, &arguments->run_id, "The run to describe: its variance, its labels");
  show->add_flag("--json", arguments->json, "One JSON object per run, with its run_info");
  AddS3Options(show, &arguments->s3);
  show->callback([arguments, action] {
    *action = [arguments]() -> arrow::Result<ExitCode> {
      ARROW_ASSIGN_OR_RAISE(
          const auto output,
          PublishedOutput::Open(arguments->output, arguments->s3, CatchInterrupts()));
      return arguments->run_id.empty() ? ShowRuns(*output, *arguments)
                                       : ShowRun(*output, *arguments);
    };
  });
}

}  // namespace pomona::cli
