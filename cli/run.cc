// pomona run INPUT OUTPUT
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>

#include "command.h"
#include "interrupt.h"
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
  std::printf("run %s: %" PRId64
              " images in %.1f s (%.0f images/s), %d components explain %.1f %% "
              "of the variance\n",
              summary.run_id.c_str(), summary.counts.rows, summary.seconds,
              summary.images_per_second, arguments.options.pca_components,
              100 * summary.variance_explained);
  std::printf("listed %" PRId64 " = %" PRId64 " rows + %" PRId64 " rejects%s + %" PRId64
              " skips%s\n",
              summary.counts.listed, summary.counts.rows, summary.counts.rejects,
              CountsText(summary.rejects_by_reason).c_str(), summary.counts.skips,
              CountsText(summary.skips_by_reason).c_str());
  if (summary.counts.resumed > 0) {
    std::printf("resumed %" PRId64 " items of an unfinished run\n", summary.counts.resumed);
  }
  if (summary.counts.reused > 0) {
    std::printf("took over the features of %" PRId64 " unchanged images from run %s\n",
                summary.counts.reused, summary.reused_run_id.c_str());
  }
  std::printf("made in %s:\n", arguments.output.c_str());
  for (const std::string& folder : summary.folders) std::printf("  %s\n", folder.c_str());
}

arrow::Result<ExitCode> RunJob(const RunArguments& arguments) {
  ProgressPrinter printer(arguments.quiet ? ProgressStyle::kNone : arguments.progress);
  RunHooks hooks;
  hooks.progress = [&](const Progress& progress) { printer(progress); };
  hooks.log = [&](const std::string& line) {
    printer.Finish();
    if (!arguments.quiet) std::fprintf(stderr, "pomona: %s\n", line.c_str());
  };
  hooks.cancel = CatchInterrupts();
  hooks.started = ProcessStart();
  const auto summary = Run(arguments.input, arguments.output, arguments.options, hooks);
  printer.Finish();
  if (summary.status().IsCancelled() && !RefusalOf(summary.status())) {
    return summary.status().WithMessage("interrupted; the same command resumes");
  }
  ARROW_RETURN_NOT_OK(summary);
  if (!arguments.quiet) PrintSummary(*summary, arguments);
  return ExitCode::kComplete;
}

// An option whose text one of the library's parsers understands.
template <typename T>
void AddParsed(CLI::App* run, const std::string& name, const std::string& type_name,
               arrow::Result<T> (*parse)(std::string_view), T* target, const std::string& help) {
  run->add_option_function<std::string>(
         name,
         [parse, target](const std::string& text) {
           const arrow::Result<T> parsed = parse(text);
           if (!parsed.ok()) throw CLI::ValidationError(parsed.status().message());
           *target = *parsed;
         },
         help)
      ->type_name(type_name);
}

void AddGlobs(CLI::App* run, const std::string& name, std::vector<std::string>* globs,
              const std::string& help) {
  run->add_option(name, *globs, help)
      ->type_name("GLOB")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

void AddRunCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<RunArguments>();
  RunOptions& options = arguments->options;
  CLI::App* run = app.add_subcommand("run", "Extract features and PCA of a tree of images");
  run->add_option("INPUT", arguments->input, "Folder of labelled images")->required();
  run->add_option("OUTPUT", arguments->output, "Folder to publish the run in")->required();
  AddParsed(run, "--mode", "MODE", ParseMode, &options.mode,
            "mini (300 images), apples (labels Apple*) or full (default)");
  run->add_option("--pca-components", options.pca_components, "Columns of the PCA")
      ->capture_default_str()
      ->type_name("K");
  run->add_option("--threads", options.threads, "Worker threads (default: all cores)")
      ->type_name("N");
  AddParsed(run, "--engine", "ENGINE", ParseEngine, &options.engine,
            "native (default) or openvino");
  AddParsed(run, "--cpu", "CPU", ParseCpu, &options.cpu,
            "Hold the kernels to avx512, avx2, neon or scalar; results stay the same");
  run->add_option("--weights", options.weights, "Weights made by `pomona weights`")
      ->type_name("FILE");
  run->add_option("--run-id", options.run_id, "Name of the run (default: YYYYmmdd_HHMMSS)")
      ->type_name("ID");
  AddParsed(run, "--formats", "LIST", ParseFormats, &options.formats,
            "Formats of the vectors (default: parquet,csv)");
  AddParsed(run, "--vectors", "LAYOUT", ParseVectorLayout, &options.vectors,
            "PCA in Parquet as list (default) or as spark's MLlib vectors");
  run->add_flag("--center", options.center, "Subtract the mean, as scikit-learn does");
  run->add_flag("--standardize", options.standardize, "Scale features to unit variance first");
  AddGlobs(run, "--include", &options.include, "Take only paths that match (repeatable)");
  AddGlobs(run, "--exclude", &options.exclude, "Leave out paths that match (repeatable)");
  run->add_option("--limit", options.limit, "Take only the first N items")
      ->check(kAtLeastOne)
      ->type_name("N");
  AddParsed(run, "--max-rejects", "N|P%", ParseRejectBound, &options.max_rejects,
            "Publish only with at most so many rejects, N or P% (default: no bound)");
  run->add_flag("--fresh", options.fresh, "Start over: neither resume nor take features over");
  AddParsed(run, "--progress", "STYLE", ParseProgressStyle, &arguments->progress,
            "auto (default), bar, log or none");
  run->add_flag("--quiet", arguments->quiet, "Print errors only");
  run->callback([arguments, action] {
    const arrow::Status valid = Validate(arguments->options);
    if (!valid.ok()) throw CLI::ValidationError(valid.message());
    *action = [arguments] { return RunJob(*arguments); };
  });
}

}  // namespace pomona::cli
