// pomona audit: what a published run says about its images.
#include "audit.h"

#include <charconv>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "command.h"
#include "interrupt.h"
#include "output.h"

namespace pomona::cli {
namespace {

// For --near.
const CLI::Validator kCosine(
    [](const std::string& text) {
      double cosine = 0;
      const char* const end = text.data() + text.size();
      const bool whole = std::from_chars(text.data(), end, cosine).ptr == end;
      return whole && cosine > 0 && cosine <= 1
                 ? std::string()
                 : "'" + text + "': expected a cosine above 0 and up to 1, such as 0.98";
    },
    "");

}  // namespace

arrow::Status AuditRun(const std::string& output, const AuditOptions& options,
                       ProgressStyle progress, bool quiet) {
  ProgressPrinter printer(quiet ? ProgressStyle::kNone : progress);
  const auto show = [&](std::string_view stage, int64_t done, int64_t total) {
    printer({stage, done, total, {}});
  };
  const auto audited = Audit(output, options, {show, CatchInterrupts()});
  printer.Finish();
  ARROW_ASSIGN_OR_RAISE(const AuditSummary summary, audited);
  if (quiet) return arrow::Status::OK();
  std::istringstream lines(Describe(summary));
  for (std::string line; std::getline(lines, line);) Print(line);
  Print("written to " + output + "/audit");
  Print("`pomona report " + output + " --run-id " + summary.run_id +
        "` makes a page that shows it");
  return arrow::Status::OK();
}

void AddAuditCommand(CLI::App& app, Action* action) {
  struct Options {
    std::string output;
    AuditOptions audit;
  };
  const auto options = std::make_shared<Options>();
  AuditOptions& audit = options->audit;

  CLI::App* command = app.add_subcommand(
      "audit", "Find duplicates, leaks, outliers, wrong labels and poor images in a run");
  command->add_option("OUTPUT", options->output, "Folder that the run was published in")
      ->required()
      ->check(kPlace);
  AddRunId(command, &audit.run_id, "The run to audit (default: the latest)");
  command->add_option("--near", audit.near, "Least cosine of the features of near duplicates")
      ->capture_default_str()
      ->check(kCosine)
      ->type_name("COSINE");
  command->add_option("--neighbours", audit.neighbours, "Nearest images that vote on a label")
      ->capture_default_str()
      ->check(Integer(1))
      ->type_name("N");
  command->add_option("--knn", audit.knn, "Publish the K nearest images of each, too")
      ->check(Integer(1))
      ->type_name("K");
  command
      ->add_option_function<std::vector<std::string>>(
          "--split",
          [&audit](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              auto rule = ParseSplitRule(text);
              if (!rule.ok()) throw CLI::ValidationError(rule.status().message());
              audit.splits.push_back(*std::move(rule));
            }
          },
          "Part of the data set that images belong to (default: by folders named train, test, val)")
      ->type_name("GLOB=NAME")
      ->allow_extra_args(false);
  command->add_option("--threads", audit.threads, "Worker threads (default: 0, as many as cores)")
      ->check(Integer(0, kMaxThreads))
      ->type_name("N");
  AddS3Options(command, &audit.s3);
  command->callback([options, action] {
    *action = [options]() -> arrow::Result<ExitCode> {
      ARROW_RETURN_NOT_OK(
          AuditRun(options->output, options->audit, ProgressStyle::kAuto, /*quiet=*/false));
      return ExitCode::kComplete;
    };
  });
}

}  // namespace pomona::cli
