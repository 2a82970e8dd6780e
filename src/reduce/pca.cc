#include "pomona/pca.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "pomona/safetensors.h"
#include "reduce/check_components.h"
#include "reduce/eigenpairs.h"
#include "reduce/kernels.h"
#include "sha256.h"

namespace pomona {
namespace {

using Metadata = std::map<std::string, std::string>;

// Below this share of the total, a component's variance is nothing but rounding.
constexpr double kLeastShare = 1e-12;

constexpr std::string_view kKind = "pomona-pca";

// Of the texts of a file's metadata, which may be anybody's and are shown.
constexpr size_t kMaxTextBytes = 256;

// An eigenvector's sign is free: the entry of largest magnitude, the first of several, is positive.
void FixSign(std::span<double> component) {
  const auto largest = std::max_element(component.begin(), component.end(), [](double a, double b) {
    return std::abs(a) < std::abs(b);
  });
  if (*largest < 0) {
    for (double& entry : component) entry = -entry;
  }
}

std::vector<double> StandardDeviations(const Moments& moments) {
  std::vector<double> deviations;
  const double* variance = moments.comoment().data();
  for (int i = 0; i < moments.dimensions(); ++i) {
    deviations.push_back(
        *variance > 0 ? std::sqrt(*variance / static_cast<double>(moments.count() - 1)) : 1.0);
    variance += moments.dimensions() - i;  // to the next row's diagonal
  }
  return deviations;
}

std::string ToText(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

template <typename T>
bool FromText(const Metadata& metadata, const std::string& key, T* value) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return false;
  const std::string& text = found->second;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), *value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

bool FromText(const Metadata& metadata, const std::string& key, bool* value) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return false;
  *value = found->second == "true";
  return *value || found->second == "false";
}

// Empty where there is none.
bool TakeText(const Metadata& metadata, const std::string& key, std::string* text) {
  const auto found = metadata.find(key);
  if (found != metadata.end()) *text = found->second;
  return text->size() <= kMaxTextBytes;
}

NamedTensor Tensor(std::string name, std::vector<int64_t> shape, std::span<const double> values) {
  return {std::move(name), {DType::kF64, std::move(shape), std::as_bytes(values)}};
}

bool AllFinite(std::span<const double> values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

// The finite float64 values of a tensor of the given rank.
arrow::Result<TensorView> GetTensor(const SafetensorsFile& file, const std::string& name,
                                    size_t rank) {
  ARROW_ASSIGN_OR_RAISE(TensorView tensor, file.Get(name));
  if (tensor.dtype != DType::kF64 || tensor.shape.size() != rank) {
    return arrow::Status::Invalid(file.path(), ": tensor ", name, " is not F64 of ", rank,
                                  rank == 1 ? " dimension" : " dimensions");
  }
  if (!AllFinite(tensor.values<double>())) {
    return arrow::Status::Invalid(file.path(), ": tensor ", name, " has values not finite");
  }
  return tensor;
}

std::vector<double> ToVector(const TensorView& tensor) {
  const std::span<const double> values = tensor.values<double>();
  return {values.begin(), values.end()};
}

}  // namespace

arrow::Result<Pca> Pca::Fit(const Moments& moments, const PcaOptions& options, FeatureOrigin origin,
                            int threads) {
  const int dimensions = moments.dimensions();
  const int64_t rows = moments.count();
  if (rows < 2) {  // said first: of no rows there may be no dimensions
    return arrow::Status::Invalid("PCA needs at least two images: ", rows,
                                  rows == 1 ? " image" : " images");
  }
  ARROW_RETURN_NOT_OK(CheckComponents(options.components, dimensions));
  if (rows < options.components) {
    return arrow::Status::Invalid("PCA needs at least as many images as components: ", rows,
                                  " images, ", options.components,
                                  " components; use --pca-components");
  }

  Pca pca;
  pca.options_ = options;
  pca.rows_ = rows;
  pca.origin_ = std::move(origin);
  pca.mean_.assign(moments.mean().begin(), moments.mean().end());
  if (options.standardize) pca.scale_ = StandardDeviations(moments);

  std::vector<double> covariance(moments.comoment().begin(), moments.comoment().end());
  double* entry = covariance.data();
  for (int i = 0; i < dimensions; ++i) {
    for (int j = i; j < dimensions; ++j, ++entry) {
      *entry /= static_cast<double>(rows - 1);
      if (options.standardize) *entry /= pca.scale_[i] * pca.scale_[j];
      if (i == j) pca.total_variance_ += *entry;
    }
  }
  if (!std::isfinite(pca.total_variance_)) {
    return arrow::Status::Invalid("PCA needs finite features: their variance is ",
                                  pca.total_variance_);
  }

  // Rows about their mean span one dimension less than there are rows.
  const int rank = static_cast<int>(std::min<int64_t>(rows - 1, dimensions));
  ARROW_ASSIGN_OR_RAISE(
      reduce::Eigenpairs pairs,
      reduce::LargestEigenpairs(covariance, dimensions, options.components, threads, rank));
  pca.variance_ = std::move(pairs.values);
  pca.basis_ = std::move(pairs.vectors);
  // A covariance has no negative eigenvalues: those below zero are zeros with rounding.
  for (double& variance : pca.variance_) variance = std::max(variance, 0.0);
  for (int c = 0; c < options.components; ++c) {
    FixSign(std::span(pca.basis_).subspan(size_t(c) * dimensions, dimensions));
  }
  return pca;
}

arrow::Result<Pca> Pca::FromParts(PcaParts parts) {
  const size_t dimensions = parts.mean.size(), components = parts.variance.size();
  if (components < 1 || components > dimensions || parts.basis.size() != components * dimensions ||
      (!parts.scale.empty() && parts.scale.size() != dimensions)) {
    return arrow::Status::Invalid("a PCA whose parts do not agree: ", dimensions, " means, ",
                                  components, " variances, ", parts.basis.size(),
                                  " numbers in its components, ", parts.scale.size(), " scales");
  }
  const auto is_negative = [](double value) { return value < 0; };
  const auto is_scale = [](double value) { return value > 0; };
  if (!AllFinite(parts.mean) || !AllFinite(parts.basis) || !AllFinite(parts.variance) ||
      !AllFinite(parts.scale) || !std::isfinite(parts.total_variance)) {
    return arrow::Status::Invalid("a PCA with values not finite");
  }
  if (parts.rows < 0 || parts.total_variance < 0 ||
      std::ranges::any_of(parts.variance, is_negative) ||
      !std::ranges::all_of(parts.scale, is_scale)) {
    return arrow::Status::Invalid(
        "a PCA with a negative variance or count, or a scale not above 0");
  }
  Pca pca;
  pca.options_ = {static_cast<int>(components), parts.center, !parts.scale.empty()};
  pca.rows_ = parts.rows;
  pca.mean_ = std::move(parts.mean);
  pca.scale_ = std::move(parts.scale);
  pca.basis_ = std::move(parts.basis);
  pca.variance_ = std::move(parts.variance);
  pca.total_variance_ = parts.total_variance;
  pca.origin_ = std::move(parts.origin);
  return pca;
}

std::vector<double> Pca::ExplainedVarianceRatio() const {
  std::vector<double> ratio = variance_;
  for (double& value : ratio) value = total_variance_ > 0 ? value / total_variance_ : 0;
  return ratio;
}

int Pca::determined() const {
  return static_cast<int>(std::ranges::count_if(
      variance_, [&](double variance) { return variance > kLeastShare * total_variance_; }));
}

void Pca::Project(std::span<const float> rows, std::span<double> out, Cpu cpu) const {
  reduce::ProjectRows(rows.data(), rows.size() / mean_.size(), mean_.size(),
                      options_.center ? mean_.data() : nullptr,
                      options_.standardize ? scale_.data() : nullptr, basis_.data(), components(),
                      out.data(), cpu);
}

arrow::Status Pca::Save(const std::string& path) const {
  const std::vector<double> ratio = ExplainedVarianceRatio();
  return WriteSafetensors(path, Tensors(ratio), FileMetadata());
}

std::string Pca::Serialize() const {
  const std::vector<double> ratio = ExplainedVarianceRatio();
  return SerializeSafetensors(Tensors(ratio), FileMetadata()).ValueOrDie();
}

std::vector<NamedTensor> Pca::Tensors(std::span<const double> ratio) const {
  std::vector<NamedTensor> tensors = {
      Tensor("mean", {dimensions()}, mean_),
      Tensor("components", {components(), dimensions()}, basis_),
      Tensor("explained_variance", {components()}, variance_),
      Tensor("explained_variance_ratio", {components()}, ratio),
  };
  if (options_.standardize) tensors.push_back(Tensor("scale", {dimensions()}, scale_));
  return tensors;
}

std::map<std::string, std::string> Pca::FileMetadata() const {
  Metadata metadata = {{"kind", std::string(kKind)},
                       {"rows", std::to_string(rows_)},
                       {"center", options_.center ? "true" : "false"},
                       {"standardize", options_.standardize ? "true" : "false"},
                       {"total_variance", ToText(total_variance_)}};
  if (!origin_.weights_digest.empty()) metadata["weights_digest"] = origin_.weights_digest;
  if (!origin_.preprocessing.empty()) metadata["preprocessing"] = origin_.preprocessing;
  return metadata;
}

std::string Pca::Digest() const {
  const std::string file = Serialize();
  return Sha256().Add(std::span(reinterpret_cast<const uint8_t*>(file.data()), file.size())).Hex();
}

arrow::Result<Pca> Pca::Load(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto file, SafetensorsFile::Open(path));
  return FromFile(*file);
}

arrow::Result<Pca> Pca::Deserialize(std::span<const std::byte> bytes, const std::string& name) {
  ARROW_ASSIGN_OR_RAISE(const auto file, SafetensorsFile::Copy(name, bytes));
  return FromFile(*file);
}

arrow::Result<Pca> Pca::FromFile(const SafetensorsFile& file) {
  const std::string& path = file.path();
  const Metadata& metadata = file.metadata();
  const auto kind = metadata.find("kind");
  if (kind == metadata.end() || kind->second != kKind) {
    return arrow::Status::Invalid(path, ": is no PCA model (its metadata lacks kind ", kKind, ")");
  }
  PcaParts parts;
  bool standardize = false;
  if (!FromText(metadata, "rows", &parts.rows) || !FromText(metadata, "center", &parts.center) ||
      !FromText(metadata, "standardize", &standardize) ||
      !FromText(metadata, "total_variance", &parts.total_variance)) {
    return arrow::Status::Invalid(
        path, ": the metadata lacks rows, center, standardize or total_variance");
  }
  if (!TakeText(metadata, "weights_digest", &parts.origin.weights_digest) ||
      !TakeText(metadata, "preprocessing", &parts.origin.preprocessing)) {
    return arrow::Status::Invalid(path, ": weights_digest or preprocessing are too long");
  }
  ARROW_ASSIGN_OR_RAISE(const TensorView mean, GetTensor(file, "mean", 1));
  ARROW_ASSIGN_OR_RAISE(const TensorView basis, GetTensor(file, "components", 2));
  ARROW_ASSIGN_OR_RAISE(const TensorView variance, GetTensor(file, "explained_variance", 1));
  bool consistent = basis.shape[0] >= 1 && basis.shape[0] <= basis.shape[1] &&
                    basis.shape[1] == mean.shape[0] && basis.shape[0] == variance.shape[0];
  if (standardize) {
    ARROW_ASSIGN_OR_RAISE(const TensorView scale, GetTensor(file, "scale", 1));
    consistent = consistent && scale.shape == mean.shape;
    parts.scale = ToVector(scale);
  }
  if (!consistent) return arrow::Status::Invalid(path, ": the tensors' shapes do not agree");
  parts.mean = ToVector(mean);
  parts.basis = ToVector(basis);
  parts.variance = ToVector(variance);
  auto pca = FromParts(std::move(parts));
  if (!pca.ok()) return pca.status().WithMessage(path, ": ", pca.status().message());
  return pca;
}

}  // namespace pomona
