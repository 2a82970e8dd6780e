// The pomona program: parses the command line, runs one subcommand, turns its Result into one line
// and an exit code. Nothing else in the program prints errors or exits.
#include <csignal>
#include <cstdio>
#include <string>

#include "command.h"
#include "interrupt.h"
#include "pomona/pipeline.h"

namespace pomona::cli {
namespace {

int CodeOf(const arrow::Status& status) {
  if (const auto refusal = RefusalOf(status)) {
    return static_cast<int>(*refusal == RunRefusal::kOutputBusy ? ExitCode::kOutputBusy
                                                                : ExitCode::kTooManyRejects);
  }
  return status.IsCancelled() ? InterruptedCode() : static_cast<int>(ExitCode::kFailed);
}

int Main(int argc, char** argv) {
  // Whoever reads our output may leave; the outputs of a run must not suffer.
  std::signal(SIGPIPE, SIG_IGN);

  CLI::App app("Turns trees of labelled images into MobileNetV2 features and their PCA.", "pomona");
  app.require_subcommand(1);
  app.failure_message([](const CLI::App* root, const CLI::Error& error) {
    std::string command = root->get_name();
    for (const CLI::App* chosen : root->get_subcommands()) command += ' ' + chosen->get_name();
    return "pomona: " + std::string(error.what()) + "\nsee " + command + " --help\n";
  });
  Action action;
  AddRunCommand(app, &action);
  AddCheckCommand(app, &action);
  AddVerifyCommand(app, &action);
  AddWeightsCommand(app, &action);
  AddSampleCommand(app, &action);
  AddSparkJobCommand(app, &action);
  AddVersionCommand(app, &action);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = app.exit(error) == 0;
    return static_cast<int>(asked_for_help ? ExitCode::kComplete : ExitCode::kUsage);
  }
  const arrow::Result<ExitCode> result = action();
  if (!result.ok()) {
    std::fprintf(stderr, "pomona: %s\n", result.status().message().c_str());
  }
  return result.ok() ? static_cast<int>(*result) : CodeOf(result.status());
}

}  // namespace
}  // namespace pomona::cli

int main(int argc, char** argv) { return pomona::cli::Main(argc, argv); }
