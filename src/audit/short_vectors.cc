#include "short_vectors.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels.h"
#include "reduce/kernels.h"

namespace pomona::audit {
namespace {

// More components let hardly fewer pairs through, and each costs as much as the first.
constexpr int kMostComponents = 62;

double Product(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Adds to an orthonormal basis what of the vector it lacks, if that is more than rounding. Twice
// makes it orthogonal to the last bits.
void Extend(std::span<const double> vector, std::vector<double>* basis) {
  const size_t width = vector.size();
  const double length = std::sqrt(Product(vector, vector));
  if (!(length > 0) || !std::isfinite(length)) return;
  std::vector<double> rest(vector.begin(), vector.end());
  for (double& value : rest) value /= length;
  for (int pass = 0; pass < 2; ++pass) {
    for (size_t at = 0; at < basis->size(); at += width) {
      const std::span<const double> known(basis->data() + at, width);
      const double share = Product(rest, known);
      for (size_t i = 0; i < width; ++i) rest[i] -= share * known[i];
    }
    const double left = std::sqrt(Product(rest, rest));
    constexpr double kLeast = 1e-6;
    if (!(left > kLeast)) return;
    for (double& value : rest) value /= left;
  }
  basis->insert(basis->end(), rest.begin(), rest.end());
}

}  // namespace

ShortVectors::ShortVectors(const Pca& pca) : width_(static_cast<size_t>(pca.dimensions())) {
  Extend(pca.mean(), &basis_);
  const int components = std::min(pca.components(), kMostComponents);
  for (size_t c = 0; c < static_cast<size_t>(components); ++c) {
    Extend(pca.basis().subspan(c * width_, width_), &basis_);
  }
  if (basis_.empty()) {  // of rows of zeros; any direction serves
    basis_.resize(width_);
    basis_[0] = 1;
  }
}

void ShortVectors::Make(std::span<const float> rows, std::span<double> norms, std::span<float> out,
                        Cpu cpu) const {
  const size_t inside = dimensions() - 1;
  std::vector<double> coordinates(norms.size() * inside);
  reduce::ProjectRows(rows.data(), norms.size(), width_, nullptr, nullptr, basis_.data(), inside,
                      coordinates.data(), cpu);
  for (size_t row = 0; row < norms.size(); ++row) {
    const float* const features = rows.data() + row * width_;
    norms[row] = Dot(features, features, width_, cpu);
    float* const vector = out.data() + row * dimensions();
    const double length = std::sqrt(norms[row]);
    const double scale = length > 0 ? 1 / length : 0;
    double held = 0;
    for (size_t i = 0; i < inside; ++i) {
      const double value = coordinates[row * inside + i] * scale;
      held += value * value;
      vector[i] = static_cast<float>(value);
    }
    vector[inside] = length > 0 ? static_cast<float>(std::sqrt(std::max(0.0, 1 - held))) : 0;
  }
}

}  // namespace pomona::audit
