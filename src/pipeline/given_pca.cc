#include <string>
#include <utility>

#include "pomona/engine.h"
#include "pomona/location.h"
#include "pomona/run.h"
#include "store/published_files.h"

namespace pomona {
namespace {

arrow::Result<Pca> Read(const std::string& location, const S3Options& s3, CancelToken cancel) {
  const bool remote = IsS3Uri(location);
  ARROW_ASSIGN_OR_RAISE(const std::string path,
                        remote ? NormalS3Uri(location) : LocalPath(location));
  const size_t slash = path.rfind('/');
  const std::string folder = path.substr(0, slash), name = path.substr(slash + 1);
  PublishedFiles files(folder);
  if (remote) {
    ARROW_ASSIGN_OR_RAISE(files, PublishedFiles::Open(folder, s3, cancel));
  }
  ARROW_ASSIGN_OR_RAISE(const std::string bytes, files.Read(name));
  return Pca::Deserialize(std::as_bytes(std::span(bytes)), path);
}

// What the options ask for and the PCA is not, as a user may leave it out.
std::string Conflicts(const RunOptions& options, const PcaOptions& pca) {
  std::string text;
  const auto add = [&](const std::string& option) { text += (text.empty() ? "" : ", ") + option; };
  const bool asked_for =
      options.components_given || options.pca_components != RunOptions().pca_components;
  if (asked_for && options.pca_components != pca.components) {
    add("--pca-components " + std::to_string(options.pca_components));
  }
  if (options.center && !pca.center) add("--center");
  if (options.standardize && !pca.standardize) add("--standardize");
  return text;
}

std::string Text(const FeatureOrigin& origin) {
  return "the weights " + origin.weights_digest + " and the preprocessing " + origin.preprocessing;
}

}  // namespace

FeatureOrigin OriginOf(const ModelIdentity& model, DecodeMode decode) {
  return {model.digest, model.preprocessing->RecordedName(decode)};
}

arrow::Result<std::optional<Pca>> OpenGivenPca(RunOptions* options, const ModelIdentity& model,
                                               const RunHooks& hooks) {
  const std::string& location = options->pca;
  if (location.empty()) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(Pca pca, Read(location, options->s3, hooks.cancel));
  const PcaOptions& its = pca.options();
  const std::string conflicts = Conflicts(*options, its);
  if (!conflicts.empty()) {
    return arrow::Status::Invalid(location, ": is a PCA of ", its.components, " components",
                                  its.center ? ", centered" : ", not centered",
                                  its.standardize ? ", standardized" : ", not standardized",
                                  "; leave out ", conflicts);
  }
  const FeatureOrigin here = OriginOf(model, options->decode);
  if (pca.origin() == FeatureOrigin()) {
    if (hooks.log) {
      hooks.log(location + ": does not say which weights and preprocessing it was fitted for; " +
                "that they are this run's is taken on trust");
    }
  } else if (pca.origin() != here) {
    return arrow::Status::Invalid(location, ": was fitted on features of ", Text(pca.origin()),
                                  "; those of this run are of ", Text(here));
  }
  options->pca_components = its.components;
  options->center = its.center;
  options->standardize = its.standardize;
  return pca;
}

}  // namespace pomona
