// Rows of features -> moments -> principal components -> projected rows.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "pomona/cpu.h"
#include "pomona/safetensors.h"

namespace pomona {

class SafetensorsFile;

// Whether all values are numbers. rows: n x dimensions, row-major.
// Errors: Invalid, naming the first row with one that is not finite; rows count from `first`.
arrow::Status CheckFinite(std::span<const float> rows, size_t dimensions, size_t first = 0);

// Count, mean and co-moments of feature rows, in float64.
//
// The same calls in the same order give the same bits; a different grouping of the rows changes
// only rounding.
// Threads: none shared; each worker owns one and the results are merged.
class Moments {
 public:
  explicit Moments(int dimensions);

  // rows: n x dimensions, row-major, finite. Any number of times.
  void Add(std::span<const float> rows, Cpu cpu = Cpu::kBest);

  // REQUIRES: other.dimensions() == dimensions().
  void Merge(const Moments& other);

  int dimensions() const { return dimensions_; }
  int64_t count() const { return count_; }
  std::span<const double> mean() const { return mean_; }  // [dimensions]

  // Sum over rows of (x - mean)(x - mean)^T: the upper triangle row by row, packed,
  // dimensions * (dimensions + 1) / 2 values. Covariance is this over count - 1.
  std::span<const double> comoment() const { return comoment_; }

  // From parts that another Moments gave (a file, another process).
  static arrow::Result<Moments> FromParts(int64_t count, std::vector<double> mean,
                                          std::vector<double> comoment);

  // To bytes (a safetensors file of count, mean and comoment) and back, bit for bit.
  std::string Serialize() const;
  static arrow::Result<Moments> Deserialize(std::span<const std::byte> bytes);

  // From the tensors <prefix>count, <prefix>mean and <prefix>comoment of a file.
  static arrow::Result<Moments> Read(const SafetensorsFile& file, const std::string& prefix);

 private:
  void JoinMeans(int64_t n, std::span<const double> mean);

  int dimensions_;
  int64_t count_ = 0;
  std::vector<double> mean_;
  std::vector<double> comoment_;
};

struct PcaOptions {
  int components = 50;       // 1 to the number of dimensions
  bool center = false;       // subtract the mean before projecting, as scikit-learn does
  bool standardize = false;  // scale each feature to unit variance first
};

// What features were made with; empty where nobody said.
struct FeatureOrigin {
  std::string weights_digest;  // see Weights::digest()
  std::string preprocessing;   // see Preprocessing::RecordedName()

  bool operator==(const FeatureOrigin&) const = default;
};

// What a fitted PCA consists of; shapes and meanings are those of Pca's members.
struct PcaParts {
  bool center = false;
  int64_t rows = 0;
  std::vector<double> mean;
  std::vector<double> scale;  // empty: features are not standardized
  std::vector<double> basis;
  std::vector<double> variance;
  double total_variance = 0;
  FeatureOrigin origin;
};

// A fitted PCA: covariance with n-1, eigenvalues descending, each component's entry of largest
// magnitude positive. The projection is X.V without removing the mean, as Spark MLlib does it,
// unless `center`; with `standardize` X is divided by the standard deviations first (a feature
// that never varies is left as it is).
//
// Threads: safe to share once made.
class Pca {
 public:
  // On at most `threads` threads, at least one, whose number does not show in the result, nor does
  // the CPU.
  // Errors: Invalid, in the user's words, where there are fewer rows than components, fewer than
  // two rows, or components outside 1..dimensions.
  static arrow::Result<Pca> Fit(const Moments& moments, const PcaOptions& options,
                                FeatureOrigin origin = {}, int threads = 1);

  // Errors: Invalid where the parts do not agree, or hold what no fit gives.
  static arrow::Result<Pca> FromParts(PcaParts parts);

  const PcaOptions& options() const { return options_; }
  int components() const { return options_.components; }
  int dimensions() const { return static_cast<int>(mean_.size()); }
  int64_t rows() const { return rows_; }                   // that it was fitted on
  const FeatureOrigin& origin() const { return origin_; }  // of these rows
  std::span<const double> mean() const { return mean_; }   // [dimensions]
  std::span<const double> scale() const {
    return scale_;
  }  // [dimensions]; empty unless standardize
  std::span<const double> basis() const { return basis_; }        // components x dimensions
  std::span<const double> variance() const { return variance_; }  // eigenvalues [components]
  double total_variance() const { return total_variance_; }       // trace of the covariance
  std::vector<double> ExplainedVarianceRatio() const;             // variance / total_variance

  // How many components the rows determine: those with a share of the variance above 1e-12. The
  // directions of the others are arbitrary, a matter of rounding.
  int determined() const;

  // rows: n x dimensions. out: n x components. A row's projection does not depend on n.
  void Project(std::span<const float> rows, std::span<double> out, Cpu cpu = Cpu::kBest) const;

  // Safetensors: mean, components, explained_variance, explained_variance_ratio (and scale), F64;
  // in the metadata all else.
  arrow::Status Save(const std::string& path) const;
  static arrow::Result<Pca> Load(const std::string& path);

  // The same file as bytes.
  std::string Serialize() const;
  // `name`: how errors call it.
  static arrow::Result<Pca> Deserialize(std::span<const std::byte> bytes,
                                        const std::string& name = "the PCA");

  // SHA-256 of these bytes, as of a file that Save() wrote.
  std::string Digest() const;

 private:
  Pca() = default;
  static arrow::Result<Pca> FromFile(const SafetensorsFile& file);
  std::vector<NamedTensor> Tensors(std::span<const double> ratio) const;
  std::map<std::string, std::string> FileMetadata() const;

  PcaOptions options_;
  int64_t rows_ = 0;
  std::vector<double> mean_;
  std::vector<double> scale_;
  std::vector<double> basis_;
  std::vector<double> variance_;
  double total_variance_ = 0;
  FeatureOrigin origin_;
};

}  // namespace pomona
