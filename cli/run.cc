// pomona run INPUT OUTPUT
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "audit.h"
#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "pomona/options.h"
#include "pomona/refusal.h"
#include "pomona/run.h"
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
  bool audit = false;
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

void PrintSummary(const RunSummary& summary, const RunArguments& arguments) {
  const Counts& counts = summary.counts;
  std::istringstream lines(Describe(summary));
  for (std::string line; std::getline(lines, line);) Print(line);
  if (!summary.published()) return;
  if (summary.unlabelled > 0) {
    Print(std::to_string(summary.unlabelled) + " of them are in no folder and have no label");
  }
  if (counts.resumed > 0) {
    Print("resumed " + std::to_string(counts.resumed) + " items of an unfinished run");
  }
  if (counts.reused > 0 && counts.reused < counts.rows) {
    Print("reused the features of " + std::to_string(counts.reused) +
          " unchanged images from run " + summary.reused_run_id);
  }
  Print("written to " + arguments.output + ":");
  for (const std::string& folder : summary.folders) Print("  " + folder);
}

// The work is what was asked for: a summary that is lost does not undo it.
void FlushSummary(const std::string& done) {
  const arrow::Status printed = FlushOutput();
  if (!printed.ok()) PrintError(printed.message() + "; " + done + " all the same");
}

// By default options. What goes wrong does not undo the run.
arrow::Result<ExitCode> AuditPublished(const RunSummary& summary, const RunArguments& arguments) {
  AuditOptions options;
  options.run_id = summary.run_id;
  options.threads = arguments.options.threads;
  options.cpu = arguments.options.cpu;
  options.s3 = arguments.options.s3;
  const arrow::Status audited =
      AuditRun(arguments.output, options, arguments.progress, arguments.quiet);
  if (audited.ok()) {
    FlushSummary("the run is published and audited");
    return ExitCode::kComplete;
  }
  const arrow::Status told = audited.WithMessage(
      "the run ", summary.run_id, " is published, but was not audited: ", audited.message(),
      "; `pomona audit OUTPUT --run-id ", summary.run_id, "` does it");
  if (told.IsCancelled() && !RefusalOf(told)) return told;
  PrintError(told.message());
  return ExitCode::kNotAudited;
}

arrow::Result<ExitCode> RunJob(const RunArguments& arguments) {
  ProgressPrinter printer(arguments.quiet ? ProgressStyle::kNone : arguments.progress);
  RunHooks hooks;
  hooks.progress = [&](const Progress& progress) { printer(progress); };
  hooks.log = [&](const std::string& line) {
    printer.Finish();
    if (!arguments.quiet) PrintWarning(line);
  };
  hooks.cancel = CatchInterrupts();
  hooks.started = ProcessStart();
  const auto summary = Run(arguments.input, arguments.output, arguments.options, hooks);
  printer.Finish();
  ARROW_RETURN_NOT_OK(summary);
  if (!arguments.quiet) PrintSummary(*summary, arguments);
  FlushSummary(summary->fragments_missing > 0 ? "this shard is done" : "the run is published");
  return arguments.audit ? AuditPublished(*summary, arguments) : ExitCode::kComplete;
}

}  // namespace

void AddRunOption(CLI::App* command, const RunOptionSpec& spec, RunOptions* options) {
  using Kind = RunOptionSpec::Kind;
  const auto set = [&spec, options](const std::string& text) { Require(spec.set(options, text)); };
  const std::string name = std::string("--") + spec.name;
  if (spec.kind == Kind::kFlag) {
    command->add_flag_callback(name, [set] { set("true"); }, spec.help);
    return;
  }
  command
      ->add_option_function<std::vector<std::string>>(
          name,
          [set](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) set(text);
          },
          HelpText(spec))
      ->type_name(spec.value)
      ->expected(1)
      ->allow_extra_args(false)  // what follows the value is INPUT or OUTPUT
      ->multi_option_policy(spec.kind == Kind::kList ? CLI::MultiOptionPolicy::TakeAll
                                                     : CLI::MultiOptionPolicy::Throw);
}

void AddRunCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<RunArguments>();
  RunOptions& options = arguments->options;
  CLI::App* run = app.add_subcommand("run", "Extract features and PCA of a tree of images");
  run->add_option("INPUT", arguments->input, kInputHelp)->required()->check(kPlace);
  run->add_option("OUTPUT", arguments->output, "Folder or s3://bucket/prefix to publish the run in")
      ->required()
      ->check(kPlace);
  for (const RunOptionSpec& spec : RunOptionSpecs()) AddRunOption(run, spec, &options);
  run->add_option_function<std::string>(
         "--progress",
         [arguments](const std::string& text) {
           const auto style = ParseProgressStyle(text);
           if (!style.ok()) throw CLI::ValidationError(style.status().message());
           arguments->progress = *style;
         },
         "auto (default), bar, log or none")
      ->type_name("STYLE");
  run->add_flag("--audit", arguments->audit,
                "Then audit the run, as `pomona audit OUTPUT` does; the report comes before");
  run->add_flag("--quiet", arguments->quiet, "Print errors only");
  AddLogFormat(run);
  run->callback([arguments, action] {
    Require(Validate(arguments->options));
    if (arguments->audit && !arguments->options.shard.whole()) {
      throw CLI::ValidationError(
          "audit: not with --shard, as any of them may publish the run; call `pomona audit OUTPUT "
          "--run-id ID` after the last");
    }
    *action = [arguments] { return RunJob(*arguments); };
  });
}

}  // namespace pomona::cli
