#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "cosines.h"
#include "guarded.h"
#include "kernels.h"
#include "pomona/audit.h"
#include "pomona/pca.h"
#include "short_vectors.h"
#include "tasks.h"
#include "tiles.h"

namespace pomona {
namespace {

// More rows hardly make a better basis; a worse one costs time, but no pair.
constexpr size_t kSample = 2048;
constexpr int kComponents = 50;

// Rows that a thread shortens at a time.
constexpr size_t kRowsAtOnce = 512;

// What ShortVectors makes its basis of. Where rows are wider than the sample is long, the columns are
// fitted in place of the rows, so that no covariance is larger than kSample x kSample.
arrow::Result<Pca> FitSample(std::span<const float> rows, size_t count, size_t width, int threads,
                             Cpu cpu) {
  const size_t step = (count + kSample - 1) / kSample, sampled = (count + step - 1) / step;
  const bool by_columns = width > sampled;
  std::vector<float> sample(sampled * width);
  for (size_t row = 0; row < sampled; ++row) {
    const auto taken = rows.subspan(row * step * width, width);
    for (size_t i = 0; i < width; ++i) {
      sample[by_columns ? i * sampled + row : row * width + i] = taken[i];
    }
  }
  const int dimensions = static_cast<int>(std::min(sampled, width));
  Moments moments(dimensions);
  moments.Add(sample, cpu);
  ARROW_ASSIGN_OR_RAISE(
      Pca pca, Pca::Fit(moments, {.components = std::min(kComponents, dimensions)}, {}, threads));
  if (!by_columns) return pca;

  // A component weighs the rows: that sum of them is a direction among them, which has the
  // projection of a column in the place of that column.
  const auto components = static_cast<size_t>(pca.components());
  std::vector<double> projected(width * components);
  pca.Project(sample, projected, cpu);
  PcaParts parts;
  parts.mean.resize(width);
  parts.variance.assign(pca.variance().begin(), pca.variance().end());
  parts.basis.reserve(components * width);
  for (size_t c = 0; c < components; ++c) {
    for (size_t i = 0; i < width; ++i) parts.basis.push_back(projected[i * components + c]);
  }
  return Pca::FromParts(std::move(parts));
}

arrow::Result<std::vector<NearPair>> FindNearPairs(std::span<const float> rows, size_t width,
                                                   double least, int threads,
                                                   const AuditHooks& hooks, Cpu cpu) {
  const size_t count = rows.size() / width;
  if (count < 2) return std::vector<NearPair>();
  if (count >= std::numeric_limits<uint32_t>::max()) {
    return arrow::Status::Invalid("too many rows: ", count);
  }
  ARROW_RETURN_NOT_OK(CheckFinite(rows, width));
  ARROW_ASSIGN_OR_RAISE(const Pca pca, FitSample(rows, count, width, threads, cpu));
  const audit::ShortVectors shorten(pca);
  std::vector<double> norms(count);
  std::vector<float> vectors(count * shorten.dimensions());
  const auto make = [&](size_t block, int) {
    const size_t first = block * kRowsAtOnce, n = std::min(kRowsAtOnce, count - first);
    const size_t dimensions = shorten.dimensions();
    shorten.Make(rows.subspan(first * width, n * width), std::span(norms).subspan(first, n),
                 std::span(vectors).subspan(first * dimensions, n * dimensions), cpu);
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(
      ParallelFor((count + kRowsAtOnce - 1) / kRowsAtOnce, threads, hooks.cancel, make));
  const audit::Tiles tiles(vectors, shorten.dimensions());

  std::vector<std::vector<NearPair>> found(static_cast<size_t>(threads));
  const auto compare = [&](uint32_t a, uint32_t b, int thread) {
    const double cosine = audit::Cosine(rows.data() + a * width, rows.data() + b * width, width,
                                        norms[a] * norms[b], cpu);
    if (cosine >= least) found[static_cast<size_t>(thread)].push_back({a, b, cosine});
    return arrow::Status::OK();
  };
  const auto threshold = static_cast<float>(least - audit::kMargin);
  const auto tell = [&](int64_t done) {
    if (hooks.progress) hooks.progress("compare", done, static_cast<int64_t>(tiles.size()));
  };
  ARROW_RETURN_NOT_OK(
      ForEachPair(tiles, tiles, threshold, threads, hooks.cancel, compare, tell, cpu));
  std::vector<NearPair> pairs;
  for (const auto& part : found) pairs.insert(pairs.end(), part.begin(), part.end());
  std::ranges::sort(pairs, {}, [](const NearPair& pair) { return std::tie(pair.a, pair.b); });
  return pairs;
}

}  // namespace

arrow::Result<std::vector<NearPair>> NearPairs(std::span<const float> rows, int dimensions,
                                               double least, int threads, const AuditHooks& hooks,
                                               Cpu cpu) {
  ARROW_RETURN_NOT_OK(ResolveCpu(cpu).status());
  if (!(least > 0 && least <= 1)) {
    return arrow::Status::Invalid("near: a cosine above 0 and up to 1, not ", least);
  }
  if (dimensions < 1 || rows.size() % static_cast<size_t>(dimensions) != 0) {
    return arrow::Status::Invalid(rows.size(), " values are no rows of ", dimensions);
  }
  return Guarded([&] {
    return FindNearPairs(rows, static_cast<size_t>(dimensions), least, ThreadCount(threads), hooks,
                         cpu);
  });
}

}  // namespace pomona
