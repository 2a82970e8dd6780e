// The pomona program: parses the command line, runs one subcommand, turns its Result into one line
// and an exit code. Nothing else in the program prints errors or exits.
#include <algorithm>
#include <csignal>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "command.h"
#include "interrupt.h"
#include "mistakes.h"
#include "output.h"
#include "pomona/run.h"
#include "pomona/version.h"

namespace pomona::cli {
namespace {

int CodeOf(const arrow::Status& status) {
  if (const auto refusal = RefusalOf(status)) {
    return static_cast<int>(*refusal == RunRefusal::kOutputBusy ? ExitCode::kOutputBusy
                                                                : ExitCode::kTooManyRejects);
  }
  return status.IsCancelled() ? InterruptedCode() : static_cast<int>(ExitCode::kFailed);
}

// Exceptions of the program's own code, and of what the library does not guard.
arrow::Result<ExitCode> Perform(const Action& action) {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    return arrow::Status::OutOfMemory("out of memory");
  } catch (const std::exception& error) {
    return arrow::Status::UnknownError(error.what());
  }
}

// In the order that CLI11 takes, the last one first. `pomona help run` is `pomona run --help`.
std::vector<std::string> Arguments(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && arguments.front() == "help") {
    arguments.erase(arguments.begin());
    arguments.push_back("--help");
  }
  std::ranges::reverse(arguments);
  return arguments;
}

// Parses the command line and runs the subcommand.
int Execute(int argc, char** argv) {
  CLI::App app("Turns trees of labelled images into MobileNetV2 features and their PCA.", "pomona");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("pomona ") + kVersion,
                       "Print the version and exit");
  app.failure_message(ExplainMistake);
  Action action;
  AddRunCommand(app, &action);
  AddCheckCommand(app, &action);
  AddVerifyCommand(app, &action);
  AddShowCommand(app, &action);
  AddDeleteCommand(app, &action);
  AddReportCommand(app, &action);
  AddAuditCommand(app, &action);
  AddNeighboursCommand(app, &action);
  AddWeightsCommand(app, &action);
  AddSampleCommand(app, &action);
  AddSparkJobCommand(app, &action);
  AddVersionCommand(app, &action);

  try {
    app.parse(Arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = app.exit(error) == 0;
    return static_cast<int>(asked_for_help ? ExitCode::kComplete : ExitCode::kUsage);
  }
  const arrow::Result<ExitCode> result = Perform(action);
  if (!result.ok()) PrintError(result.status().message());
  return result.ok() ? static_cast<int>(*result) : CodeOf(result.status());
}

int Main(int argc, char** argv) {
  OpenStandardStreams();
  // Whoever reads our output may leave; the outputs of a run must not suffer.
  std::signal(SIGPIPE, SIG_IGN);
  // A limit of file size is to be an error as a full disk is.
  std::signal(SIGXFSZ, SIG_IGN);
  int code = Execute(argc, argv);
  const arrow::Status printed = FlushOutput();
  if (!printed.ok()) {
    PrintError(printed.message());
    if (code == static_cast<int>(ExitCode::kComplete)) code = static_cast<int>(ExitCode::kFailed);
  }
  return code;
}

}  // namespace
}  // namespace pomona::cli

int main(int argc, char** argv) { return pomona::cli::Main(argc, argv); }
