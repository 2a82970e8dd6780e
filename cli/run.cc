// pomona run INPUT OUTPUT
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>

#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "pomona/options.h"
#include "pomona/pipeline.h"
#include "progress.h"

namespace pomona::cli {
namespace {

// The words of the command line before they are understood.
struct RunArguments {
  std::string input;
  std::string output;
  RunOptions options;
  ProgressStyle progress = ProgressStyle::kAuto;
  bool quiet = false;
};

// When this process was started, which is before its libraries were loaded.
std::chrono::steady_clock::time_point ProcessStart() {
  std::ifstream stat("/proc/self/stat");
  std::string line;
  std::getline(stat, line);
  // Field 22, after the command's name in parentheses, which may hold spaces: ticks since boot.
  constexpr int kFieldsAfterName = 20;
  size_t at = line.rfind(')');
  for (int field = 0; at != std::string::npos && field < kFieldsAfterName; ++field) {
    at = line.find(' ', at + 1);
  }
  const auto now = std::chrono::steady_clock::now();
  if (at == std::string::npos) return now;
  const double started =
      std::strtod(line.c_str() + at, nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
  timespec boot;
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const double age =
      static_cast<double>(boot.tv_sec) + 1e-9 * static_cast<double>(boot.tv_nsec) - started;
  return now - std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                   std::chrono::duration<double>(age));
}

std::string CountsText(const std::map<std::string, int64_t>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += (text.empty() ? " (" : ", ") + name + ' ' + std::to_string(count);
  }
  return text.empty() ? text : text + ')';
}

void PrintSummary(const RunSummary& summary, const RunArguments& arguments) {
  const Counts& counts = summary.counts;
  const bool all_reused = counts.reused == counts.rows;
  char figures[160];
  std::snprintf(figures, sizeof figures, "%.0f images/s", summary.images_per_second);
  const std::string how =
      all_reused ? "all features reused from run " + summary.reused_run_id : figures;
  std::string line = "run " + summary.run_id + ": " + std::to_string(counts.rows);
  std::snprintf(figures, sizeof figures, " images in %.1f s (", summary.seconds);
  line += figures + how;
  std::snprintf(figures, sizeof figures, "), %d components explain %.1f %% of the variance",
                arguments.options.pca_components, 100 * summary.variance_explained);
  Print(line + figures);
  Print("listed " + std::to_string(counts.listed) + " = " + std::to_string(counts.rows) +
        " rows + " + std::to_string(counts.rejects) + " rejects" +
        CountsText(summary.rejects_by_reason) + " + " + std::to_string(counts.skips) + " skips" +
        CountsText(summary.skips_by_reason));
  if (summary.unlabelled > 0) {
    Print(std::to_string(summary.unlabelled) +
          " of them lie at the root of the tree: their label is empty");
  }
  if (counts.resumed > 0) {
    Print("resumed " + std::to_string(counts.resumed) + " items of an unfinished run");
  }
  if (counts.reused > 0 && !all_reused) {
    Print("took over the features of " + std::to_string(counts.reused) +
          " unchanged images from run " + summary.reused_run_id);
  }
  Print("made in " + arguments.output + ":");
  for (const std::string& folder : summary.folders) Print("  " + folder);
}

arrow::Result<ExitCode> RunJob(const RunArguments& arguments) {
  ProgressPrinter printer(arguments.quiet ? ProgressStyle::kNone : arguments.progress);
  RunHooks hooks;
  hooks.progress = [&](const Progress& progress) { printer(progress); };
  hooks.log = [&](const std::string& line) {
    printer.Finish();
    if (!arguments.quiet) PrintError(line);
  };
  hooks.cancel = CatchInterrupts();
  hooks.started = ProcessStart();
  const auto summary = Run(arguments.input, arguments.output, arguments.options, hooks);
  printer.Finish();
  ARROW_RETURN_NOT_OK(summary);
  if (!arguments.quiet) PrintSummary(*summary, arguments);
  return ExitCode::kComplete;
}

void AddOption(CLI::App* run, const RunOptionSpec& spec, RunOptions* options) {
  using Kind = RunOptionSpec::Kind;
  const auto set = [&spec, options](const std::string& text) {
    const arrow::Status status = spec.set(options, text);
    if (!status.ok()) throw CLI::ValidationError(status.message());
  };
  const std::string name = std::string("--") + spec.name;
  if (spec.kind == Kind::kFlag) {
    run->add_flag_callback(name, [set] { set("true"); }, spec.help);
    return;
  }
  run->add_option_function<std::vector<std::string>>(
         name,
         [set](const std::vector<std::string>& texts) {
           for (const std::string& text : texts) set(text);
         },
         spec.help)
      ->type_name(spec.value)
      ->expected(1)
      ->multi_option_policy(spec.kind == Kind::kList ? CLI::MultiOptionPolicy::TakeAll
                                                     : CLI::MultiOptionPolicy::Throw);
}

}  // namespace

void AddRunCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<RunArguments>();
  RunOptions& options = arguments->options;
  CLI::App* run = app.add_subcommand("run", "Extract features and PCA of a tree of images");
  run->add_option("INPUT", arguments->input, "Folder of labelled images")->required();
  run->add_option("OUTPUT", arguments->output, "Folder to publish the run in")->required();
  for (const RunOptionSpec& spec : RunOptionSpecs()) AddOption(run, spec, &options);
  run->add_option_function<std::string>(
         "--progress",
         [arguments](const std::string& text) {
           const auto style = ParseProgressStyle(text);
           if (!style.ok()) throw CLI::ValidationError(style.status().message());
           arguments->progress = *style;
         },
         "auto (default), bar, log or none")
      ->type_name("STYLE");
  run->add_flag("--quiet", arguments->quiet, "Print errors only");
  run->callback([arguments, action] {
    const arrow::Status valid = Validate(arguments->options);
    if (!valid.ok()) throw CLI::ValidationError(valid.message());
    *action = [arguments] { return RunJob(*arguments); };
  });
}

}  // namespace pomona::cli
