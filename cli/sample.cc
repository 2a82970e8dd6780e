// pomona sample: a tree to try the program on.
#include "command.h"

#include <arrow/status.h>

#include <memory>
#include <string>

#include "output.h"
#include "pomona/sample.h"

namespace pomona::cli {

void AddSampleCommand(CLI::App& app, Action* action) {
  struct Options {
    std::string dir;
    int64_t images = 1200;
    int threads = 0;
  };
  const auto options = std::make_shared<Options>();

  CLI::App* command =
      app.add_subcommand("sample", "Make a labelled tree of synthetic fruit images");
  command->add_option("DIR", options->dir, "Folder to write DIR/Training/<label>/<n>_100.jpg into")
      ->required();
  command->add_option("--images", options->images, "How many, spread evenly over twelve labels")
      ->check(kAtLeastOne)
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads (default: all cores)")
      ->type_name("N");
  command->callback([options, action] {
    *action = [options]() -> arrow::Result<ExitCode> {
      ARROW_RETURN_NOT_OK(WriteSampleTree(options->dir, options->images, options->threads));
      Print(std::to_string(options->images) + " images under " + options->dir + "/Training");
      return ExitCode::kComplete;
    };
  });
}

}  // namespace pomona::cli
