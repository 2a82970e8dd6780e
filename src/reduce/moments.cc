#include <algorithm>
#include <cmath>
#include <utility>

#include "pomona/pca.h"
#include "pomona/safetensors.h"
#include "reduce/kernels.h"

namespace pomona {
namespace {

// Rows whose products are taken about their own mean: enough of them that joining the blocks costs
// nothing, few enough that the mean is summed without loss.
constexpr size_t kBlockRows = 4096;

// Beyond it float64 does not tell one count from the next.
constexpr int64_t kMaxCount = int64_t{1} << 53;

size_t PackedSize(size_t dimensions) { return dimensions * (dimensions + 1) / 2; }

bool AllFinite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

}  // namespace

arrow::Status CheckFinite(std::span<const float> rows, size_t dimensions, size_t first) {
  const auto found = std::ranges::find_if_not(rows, [](float v) { return std::isfinite(v); });
  if (found == rows.end()) return arrow::Status::OK();
  const size_t row = first + static_cast<size_t>(found - rows.begin()) / dimensions;
  return arrow::Status::Invalid(
      "row ", row, " holds NaN, an infinity or a number beyond float32: leave such rows out");
}

Moments::Moments(int dimensions)
    : dimensions_(dimensions), mean_(dimensions), comoment_(PackedSize(dimensions)) {}

void Moments::Add(std::span<const float> rows, Cpu cpu) {
  if (rows.empty()) return;
  const size_t dimensions = dimensions_;
  const size_t n = rows.size() / dimensions;
  std::vector<double> block_mean(dimensions);
  for (size_t first = 0; first < n; first += kBlockRows) {
    const size_t block_rows = std::min(kBlockRows, n - first);
    reduce::AddBlock(rows.data() + first * dimensions, block_rows, dimensions, block_mean.data(),
                     comoment_.data(), cpu);
    JoinMeans(block_rows, block_mean);
  }
}

void Moments::Merge(const Moments& other) {
  if (other.count_ == 0) return;
  for (size_t i = 0; i < comoment_.size(); ++i) comoment_[i] += other.comoment_[i];
  JoinMeans(other.count_, other.mean_);
}

// Chan, Golub and LeVeque: moving both groups' products to the common mean adds
// (count * n / (count + n)) delta delta^T.
void Moments::JoinMeans(int64_t n, std::span<const double> mean) {
  const double share = static_cast<double>(n) / static_cast<double>(count_ + n);
  const double weight = static_cast<double>(count_) * share;
  std::vector<double> delta(dimensions_);
  for (int i = 0; i < dimensions_; ++i) delta[i] = mean[i] - mean_[i];
  if (count_ > 0) {
    double* out = comoment_.data();
    for (int i = 0; i < dimensions_; ++i) {
      const double weighted = weight * delta[i];
      for (int j = i; j < dimensions_; ++j) *out++ += weighted * delta[j];
    }
  }
  for (int i = 0; i < dimensions_; ++i) mean_[i] += share * delta[i];
  count_ += n;
}

arrow::Result<Moments> Moments::FromParts(int64_t count, std::vector<double> mean,
                                          std::vector<double> comoment) {
  const size_t dimensions = mean.size();
  if (count < 0 || count > kMaxCount || dimensions == 0 ||
      comoment.size() != PackedSize(dimensions)) {
    return arrow::Status::Invalid("not valid moments: a count of ", count, ", ", dimensions,
                                  " means, ", comoment.size(), " co-moments");
  }
  if (!AllFinite(mean) || !AllFinite(comoment)) {
    return arrow::Status::Invalid("not valid moments: some values are not finite");
  }
  Moments moments(0);
  moments.dimensions_ = static_cast<int>(dimensions);
  moments.count_ = count;
  moments.mean_ = std::move(mean);
  moments.comoment_ = std::move(comoment);
  return moments;
}

std::string Moments::Serialize() const {
  const auto tensor = [](const char* name, DType dtype, std::span<const std::byte> bytes,
                         size_t count) {
    return NamedTensor{name, {dtype, {static_cast<int64_t>(count)}, bytes}};
  };
  return SerializeSafetensors(
             {tensor("count", DType::kI64, std::as_bytes(std::span(&count_, 1)), 1),
              tensor("mean", DType::kF64, std::as_bytes(std::span(mean_)), mean_.size()),
              tensor("comoment", DType::kF64, std::as_bytes(std::span(comoment_)),
                     comoment_.size())},
             {})
      .ValueOrDie();
}

arrow::Result<Moments> Moments::Deserialize(std::span<const std::byte> bytes) {
  ARROW_ASSIGN_OR_RAISE(const auto file, SafetensorsFile::Copy("the moments", bytes));
  return Read(*file, "");
}

arrow::Result<Moments> Moments::Read(const SafetensorsFile& file, const std::string& prefix) {
  ARROW_ASSIGN_OR_RAISE(const TensorView count, file.Get(prefix + "count"));
  ARROW_ASSIGN_OR_RAISE(const TensorView mean, file.Get(prefix + "mean"));
  ARROW_ASSIGN_OR_RAISE(const TensorView comoment, file.Get(prefix + "comoment"));
  if (count.dtype != DType::kI64 || count.shape != std::vector<int64_t>{1} ||
      mean.dtype != DType::kF64 || comoment.dtype != DType::kF64) {
    return arrow::Status::Invalid(file.path(),
                                  ": not valid moments: count, mean or comoment has a wrong type");
  }
  const auto means = mean.values<double>();
  const auto comoments = comoment.values<double>();
  return FromParts(count.values<int64_t>()[0], {means.begin(), means.end()},
                   {comoments.begin(), comoments.end()});
}

}  // namespace pomona
