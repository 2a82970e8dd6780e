// pomona sample: a tree to try the program on.
#include "command.h"

#include <arrow/result.h>

#include <memory>
#include <string>

#include "output.h"
#include "pomona/sample.h"

namespace pomona::cli {
namespace {

const CLI::Validator kLocal(
    [](const std::string& text) {
      return text.empty() || text.find("://") != text.npos
                 ? "'" + text + "': expected a local folder"
                 : std::string();
    },
    "");

}  // namespace

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
      ->required()
      ->check(kLocal);
  command->add_option("--images", options->images, "How many, spread evenly over twelve labels")
      ->check(Integer(1))
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--threads", options->threads, "Threads (default: all cores)")
      ->check(Integer(0, kMaxThreads))
      ->type_name("N");
  command->callback([options, action] {
    *action = [options]() -> arrow::Result<ExitCode> {
      ARROW_ASSIGN_OR_RAISE(const int64_t images,
                            WriteSampleTree(options->dir, options->images, options->threads));
      std::string line = std::to_string(images) + " images under " + options->dir + "/Training";
      if (images > options->images) {
        line += ", " + std::to_string(images - options->images) +
                " more than asked for: earlier calls made them";
      }
      Print(line);
      return ExitCode::kComplete;
    };
  });
}

}  // namespace pomona::cli
