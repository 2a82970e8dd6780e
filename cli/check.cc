// pomona check INPUT [--json] [--bad]
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "pomona/check.h"

namespace pomona::cli {
namespace {

struct CheckArguments {
  std::string input;
  CheckOptions options;
  bool json = false;
  bool bad = false;
};

// The options of a run that say what it takes, and when rejects are too many.
constexpr std::string_view kRunOptions[] = {"mode",        "include",      "exclude", "hidden",
                                            "limit",       "threads",      "memory",  "max-rejects",
                                            "s3-endpoint", "s3-anonymous", "cache",   "cache-size"};

void PrintJson(const CheckResult& result) {
  nlohmann::ordered_json line = {
      {"path", result.item->path},
      {"label", result.item->label()},
      {"verdict", VerdictName(result.outcome.verdict)},
  };
  for (const char* name : {"stage", "reason", "message"}) line[name] = nullptr;
  if (const auto& reject = result.outcome.reject) {
    line["stage"] = StageName(reject->stage);
    line["reason"] = ReasonName(reject->reason);
    line["message"] = reject->message;
  } else if (result.outcome.verdict == Verdict::kSkip) {
    line["reason"] = kNotAnImage;
  }
  const auto text_or_null = [&](const char* name, const std::string& text) {
    line[name] = nullptr;
    if (!text.empty()) line[name] = text;
  };
  text_or_null("format", result.format);
  text_or_null("mode", result.mode);
  line["width"] = result.width;
  line["height"] = result.height;
  text_or_null("rgb_sha256", result.rgb_sha256);
  text_or_null("rgb224_sha256", result.rgb224_sha256);
  PrintExactly(line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void PrintLine(const CheckResult& result) {
  std::string line(VerdictName(result.outcome.verdict));
  line.resize(7, ' ');
  line += result.item->path + ": ";
  if (result.outcome.verdict == Verdict::kRow) {
    line += result.format + ' ' + result.mode + ' ' + std::to_string(result.width) + 'x' +
            std::to_string(result.height);
  } else if (const auto& reject = result.outcome.reject) {
    line += std::string(ReasonName(reject->reason)) + ": " + reject->message;
  } else {
    line += kNotAnImage;
  }
  Print(line);
}

arrow::Result<ExitCode> CheckTree(const CheckArguments& arguments) {
  const std::atomic<bool>* const cancel = CatchInterrupts();
  ARROW_ASSIGN_OR_RAISE(const auto source,
                        OpenTree(arguments.input, arguments.options.run.s3, cancel));
  CheckOptions options = arguments.options;
  options.hashes = arguments.json;
  const std::string passed_over = TellPassedOver(*source);
  if (!passed_over.empty()) PrintError(passed_over);
  int64_t unlabelled = 0;
  const auto print = [&](const CheckResult& result) {
    if (!arguments.bad || result.outcome.verdict == Verdict::kReject) {
      arguments.json ? PrintJson(result) : PrintLine(result);
    }
    if (result.item->label().empty()) ++unlabelled;
  };
  ARROW_ASSIGN_OR_RAISE(const Counts counts, Check(*source, options, print, cancel));
  std::FILE* const out = arguments.json ? stderr : stdout;
  std::fprintf(out,
               "listed %" PRId64 " = %" PRId64 " ok + %" PRId64 " rejects + %" PRId64 " skips\n",
               counts.listed, counts.rows, counts.rejects, counts.skips);
  if (unlabelled > 0) {
    std::fprintf(out, "%" PRId64 " of them are in no folder and have no label\n", unlabelled);
  }
  if (!WithinBound(options.run.max_rejects, counts.rows, counts.rejects)) {
    std::fprintf(out, "more rejects than --max-rejects allows\n");
    return ExitCode::kTooManyRejects;
  }
  return ExitCode::kComplete;
}

}  // namespace

void AddCheckCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<CheckArguments>();
  CLI::App* check = app.add_subcommand("check", "Decode every file, compute no features");
  check->add_option("INPUT", arguments->input, kInputHelp)->required();
  check->add_flag("--json", arguments->json, "One JSON object per file, with hashes of the pixels");
  check->add_flag("--bad", arguments->bad, "Print only the rejects");
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    if (std::ranges::find(kRunOptions, spec.name) == std::end(kRunOptions)) continue;
    AddRunOption(check, spec, &arguments->options.run);
  }
  check->callback([arguments, action] { *action = [arguments] { return CheckTree(*arguments); }; });
}

}  // namespace pomona::cli
