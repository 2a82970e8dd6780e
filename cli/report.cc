// pomona report: the page about a published run.
#include "pomona/report.h"

#include <memory>
#include <string>

#include "command.h"
#include "interrupt.h"
#include "output.h"

namespace pomona::cli {

void AddReportCommand(CLI::App& app, Action* action) {
  struct Options {
    std::string output;
    ReportOptions report;
  };
  const auto options = std::make_shared<Options>();
  ReportOptions& report = options->report;

  CLI::App* command = app.add_subcommand("report", "Make the page about a published run");
  command->add_option("OUTPUT", options->output, "Folder that the run was published in")
      ->required()
      ->check(kPlace);
  AddRunId(command, &report.run_id, "The run to show (default: the latest)");
  command->add_option("--output", report.file, "File to write (default: report_{id}.html, here)")
      ->type_name("FILE");
  command
      ->add_option_function<std::string>(
          "--report-images",
          [&report](const std::string& text) {
            const auto images = ParseReportImages(text);
            if (!images.ok()) throw CLI::ValidationError(images.status().message());
            report.images = *images;
          },
          "Small pictures of the images: all (default) or none")
      ->type_name("WHICH");
  AddS3Options(command, &report.s3);
  command->callback([options, action] {
    *action = [options]() -> arrow::Result<ExitCode> {
      ARROW_ASSIGN_OR_RAISE(const std::string file,
                            MakeReport(options->output, options->report, CatchInterrupts()));
      Print("written to " + file);
      return ExitCode::kComplete;
    };
  });
}

}  // namespace pomona::cli
