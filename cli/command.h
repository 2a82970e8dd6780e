// The seam between main.cc and the subcommands, one file each.
#pragma once

#include <arrow/result.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "output.h"
#include "pomona/location.h"
#include "pomona/options.h"

namespace pomona::cli {

enum class ExitCode : int {
  kComplete = 0,
  kFailed = 1,
  kUsage = 2,
  kTooManyRejects = 3,
  kOutputBusy = 4,
  kNotAudited = 5,  // the run is published
  // Interrupted: see interrupt.h.
};

// What the chosen subcommand does. A failed Result is printed by main.cc, which picks the code.
using Action = std::function<arrow::Result<ExitCode>()>;

// What is wrong with a command line that can be parsed: exit code 2, and whose --help tells more.
inline void Require(const arrow::Status& status) {
  if (!status.ok()) throw CLI::ValidationError(status.message());
}

// CLI11 says of other values only that it cannot convert them.
inline CLI::Validator Integer(int64_t least, int64_t most = std::numeric_limits<int>::max()) {
  return {[=](const std::string& text) -> std::string {
            int64_t number = 0;
            const char* const end = text.data() + text.size();
            const auto [stop, error] = std::from_chars(text.data(), end, number);
            if (error != std::errc() || stop != end || number < least) {
              return "'" + text + "': expected an integer >= " + std::to_string(least);
            }
            return number > most ? text + ": at most " + std::to_string(most) : std::string();
          },
          ""};
}

// For INPUT and OUTPUT. What the system says of a folder is no mistake of the command line.
inline const CLI::Validator kPlace(
    [](const std::string& text) {
      const arrow::Status status = (IsS3Uri(text) ? NormalS3Uri(text) : LocalPath(text)).status();
      return status.IsIOError() ? std::string() : status.message();
    },
    "");

// What INPUT may be, for help.
inline constexpr const char* kInputHelp =
    "Labelled images: a folder (LABEL/FILE) or s3://bucket/prefix";

// Offers an option of the library's table.
void AddRunOption(CLI::App* command, const RunOptionSpec& spec, RunOptions* options);

// Which of the published runs.
inline CLI::Option* AddRunId(CLI::App* command, std::string* run_id, const char* help) {
  const auto set = [run_id](const std::string& id) {
    Require(CheckRunId(id));
    *run_id = id;
  };
  return command->add_option_function<std::string>("--run-id", set, help)->type_name("ID");
}

// How to reach s3:// paths.
inline void AddS3Options(CLI::App* command, S3Options* s3) {
  command->add_option("--s3-endpoint", s3->endpoint, "S3 server")->type_name("URL");
  command->add_flag("--s3-anonymous", s3->anonymous, "Read public buckets without credentials");
}

// How lines on standard error look, from the command line on.
inline void AddLogFormat(CLI::App* command) {
  command
      ->add_option_function<std::string>(
          "--log-format",
          [](const std::string& text) {
            const auto format = ParseLogFormat(text);
            if (!format.ok()) throw CLI::ValidationError(format.status().message());
            SetLogFormat(*format);
          },
          "Lines on standard error: text (default), or json, an object each")
      ->type_name("FORMAT");
}

// Each registers its subcommand on `app`; when the user chose it, parsing sets *action.
void AddRunCommand(CLI::App& app, Action* action);
void AddCheckCommand(CLI::App& app, Action* action);
void AddVerifyCommand(CLI::App& app, Action* action);
void AddShowCommand(CLI::App& app, Action* action);
void AddDeleteCommand(CLI::App& app, Action* action);
void AddReportCommand(CLI::App& app, Action* action);
void AddAuditCommand(CLI::App& app, Action* action);
void AddNeighboursCommand(CLI::App& app, Action* action);
void AddWeightsCommand(CLI::App& app, Action* action);
void AddSampleCommand(CLI::App& app, Action* action);
void AddSparkJobCommand(CLI::App& app, Action* action);
void AddVersionCommand(CLI::App& app, Action* action);

}  // namespace pomona::cli
