// pomona check INPUT [--json] [--bad] [--junit FILE]
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "pomona/check.h"
#include "pomona/junit.h"
#include "pomona/statistics.h"

namespace pomona::cli {
namespace {

struct CheckArguments {
  std::string input;
  CheckOptions options;
  bool json = false;
  bool bad = false;
  std::string junit;
};

void PrintJson(const CheckResult& result, const std::vector<std::string>& statistics) {
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
  for (size_t i = 0; i < statistics.size(); ++i) {
    line[statistics[i]] = nullptr;
    if (!result.statistics.empty()) line[statistics[i]] = result.statistics[i];
  }
  PrintJsonLine(line);
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

// On standard output, unless the files are told there in JSON.
void PrintSummary(const CheckSummary& summary, const CheckArguments& arguments) {
  const Counts& counts = summary.counts;
  const auto print = [&](const std::string& line, const nlohmann::ordered_json& numbers) {
    arguments.json ? PrintInfo(line, numbers) : Print(line);
  };
  print("listed " + std::to_string(counts.listed) + " = " + std::to_string(counts.rows) + " ok + " +
            std::to_string(counts.rejects) + " rejects + " + std::to_string(counts.skips) +
            " skips",
        {{"listed", counts.listed},
         {"rows", counts.rows},
         {"rejects", counts.rejects},
         {"skips", counts.skips},
         {"rejects_by_reason", summary.rejects_by_reason},
         {"skips_by_reason", summary.skips_by_reason},
         {"unlabelled", summary.unlabelled},
         {"passed", summary.passed}});
  const auto none = nlohmann::ordered_json::object();
  if (summary.unlabelled > 0) {
    print(std::to_string(summary.unlabelled) + " of them are in no folder and have no label", none);
  }
  if (!summary.passed) print("more rejects than --max-rejects allows", none);
}

arrow::Result<ExitCode> CheckTree(const CheckArguments& arguments) {
  RunHooks hooks;
  hooks.cancel = CatchInterrupts();
  hooks.log = [](const std::string& line) { PrintWarning(line); };
  if (!arguments.junit.empty()) ARROW_RETURN_NOT_OK(JunitReport::CheckWritable(arguments.junit));
  ARROW_ASSIGN_OR_RAISE(const auto source,
                        OpenTree(arguments.input, arguments.options.run.s3, hooks.cancel));
  CheckOptions options = arguments.options;
  options.hashes = arguments.json;
  const std::vector<std::string> statistics = StatisticNames(options.run.stats);
  const std::string passed_over = TellPassedOver(*source);
  if (!passed_over.empty()) PrintWarning(passed_over);
  JunitReport junit;
  const auto print = [&](const CheckResult& result) {
    if (!arguments.bad || result.outcome.verdict == Verdict::kReject) {
      arguments.json ? PrintJson(result, statistics) : PrintLine(result);
    }
    if (!arguments.junit.empty()) junit.Add(result);
  };
  ARROW_ASSIGN_OR_RAISE(const CheckSummary summary, Check(*source, options, print, hooks));
  PrintSummary(summary, arguments);
  if (!arguments.junit.empty()) {
    ARROW_RETURN_NOT_OK(junit.Write(arguments.junit, arguments.input, summary.passed));
  }
  return summary.passed ? ExitCode::kComplete : ExitCode::kTooManyRejects;
}

}  // namespace

void AddCheckCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<CheckArguments>();
  CLI::App* check = app.add_subcommand("check", "Decode every file, compute no features");
  check->add_option("INPUT", arguments->input, kInputHelp)->required()->check(kPlace);
  check->add_flag("--json", arguments->json, "One JSON object per file, with hashes of the pixels");
  check->add_flag("--bad", arguments->bad, "Print only the rejects");
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    if (IsCheckOption(spec)) AddRunOption(check, spec, &arguments->options.run);
  }
  check
      ->add_option(
          "--junit", arguments->junit,
          "Write JUnit's XML there, a test case for each label; one with rejects has failed "
          "where these are too many")
      ->type_name("FILE");
  AddLogFormat(check);
  check->callback([arguments, action] {
    if (!arguments->json && arguments->options.run.stats != StatsKind::kNone) {
      throw CLI::ValidationError("--stats: a check tells them in JSON alone; add --json");
    }
    *action = [arguments] { return CheckTree(*arguments); };
  });
}

}  // namespace pomona::cli
