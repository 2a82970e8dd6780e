// pomona delete: removes a published run.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "command.h"
#include "interrupt.h"
#include "output.h"
#include "pomona/printable.h"
#include "pomona/published_output.h"

namespace pomona::cli {
namespace {

struct DeleteArguments {
  std::string output;
  std::string run_id;
  S3Options s3;
  bool yes = false;
};

// "run demo: 13 files, 24.3 MB".
std::string What(const PublishedRun& run) {
  return "run " + run.run_id + (run.published_ns ? "" : ", which is not published") + ": " +
         std::to_string(run.files) + " files, " + BytesText(run.bytes);
}

bool Agrees(const std::string& question) {
  std::fprintf(stderr, "%s [y/N] ", Printable(question).c_str());
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

arrow::Result<ExitCode> Delete(const DeleteArguments& arguments) {
  const std::atomic<bool>* const cancel = CatchInterrupts();
  ARROW_ASSIGN_OR_RAISE(const PublishedRun run,
                        RunToDelete(arguments.output, arguments.run_id, arguments.s3, cancel));
  if (!arguments.yes) {
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
      PrintError("nobody can be asked here; --yes deletes " + What(run));
      return ExitCode::kUsage;
    }
    if (!Agrees("delete " + What(run) + ", in " + arguments.output + "?")) {
      PrintError("nothing was deleted");
      return ExitCode::kFailed;
    }
  }
  ARROW_RETURN_NOT_OK(DeleteRun(arguments.output, arguments.run_id, arguments.s3, cancel));
  Print("deleted " + What(run));
  return ExitCode::kComplete;
}

}  // namespace

void AddDeleteCommand(CLI::App& app, Action* action) {
  const auto arguments = std::make_shared<DeleteArguments>();
  CLI::App* command = app.add_subcommand("delete", "Remove a published run");
  command->add_option("OUTPUT", arguments->output, "Folder or s3://bucket/prefix of the run")
      ->required()
      ->check(kPlace);
  AddRunId(command, &arguments->run_id, "The run to remove")->required();
  command->add_flag("--yes", arguments->yes, "Do not ask");
  AddS3Options(command, &arguments->s3);
  command->callback([arguments, action] { *action = [arguments] { return Delete(*arguments); }; });
}

}  // namespace pomona::cli
