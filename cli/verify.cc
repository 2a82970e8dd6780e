// pomona verify: a published run against its checksums and against itself.
#include "pomona/verify.h"

#include <memory>
#include <string>

#include "command.h"
#include "interrupt.h"
#include "output.h"

namespace pomona::cli {

void AddVerifyCommand(CLI::App& app, Action* action) {
  struct Options {
    std::string output;
    std::string run_id;
    S3Options s3;
  };
  const auto options = std::make_shared<Options>();

  CLI::App* command = app.add_subcommand("verify", "Check a published run");
  command->add_option("OUTPUT", options->output, "Folder that the run was published in")
      ->required()
      ->check(kPlace);
  AddRunId(command, &options->run_id, "The run to check (default: the latest)");
  AddS3Options(command, &options->s3);
  command->callback([options, action] {
    *action = [options]() -> arrow::Result<ExitCode> {
      ARROW_ASSIGN_OR_RAISE(const VerifyResult result, Verify(options->output, options->run_id,
                                                              options->s3, CatchInterrupts()));
      for (const std::string& problem : result.problems) Print(problem);
      const char* const verdict = result.damaged            ? "damaged"
                                  : result.problems.empty() ? "sound"
                                                            : "not all of it could be read";
      Print("run " + result.run_id + ": " + std::to_string(result.files) + " files, " +
            std::to_string(result.rows) + " rows: " + verdict);
      return result.problems.empty() ? ExitCode::kComplete : ExitCode::kFailed;
    };
  });
}

}  // namespace pomona::cli
