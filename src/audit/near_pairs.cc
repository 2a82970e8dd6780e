#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "check_threads.h"
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
arrow::Result<Pca> FitSample(std::span<const float> rows, std::span<const float> others,
                             size_t width, int threads, Cpu cpu) {
  const size_t count = (rows.size() + others.size()) / width;
  const size_t step = (count + kSample - 1) / kSample, sampled = (count + step - 1) / step;
  const bool by_columns = width > sampled;
  std::vector<float> sample(sampled * width);
  for (size_t row = 0; row < sampled; ++row) {
    const size_t at = row * step * width;
    const auto taken =
        at < rows.size() ? rows.subspan(at, width) : others.subspan(at - rows.size(), width);
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

// What stands for rows.
struct Shortened {
  std::vector<double> norms;  // the squares of their lengths
  audit::Tiles tiles;
};

arrow::Result<Shortened> Shorten(std::span<const float> rows, size_t width,
                                 const audit::ShortVectors& shorten, int threads,
                                 CancelToken cancel, Cpu cpu) {
  const size_t count = rows.size() / width, dimensions = shorten.dimensions();
  std::vector<double> norms(count);
  std::vector<float> vectors(count * dimensions);
  const auto make = [&](size_t block, int) {
    const size_t first = block * kRowsAtOnce, n = std::min(kRowsAtOnce, count - first);
    shorten.Make(rows.subspan(first * width, n * width), std::span(norms).subspan(first, n),
                 std::span(vectors).subspan(first * dimensions, n * dimensions), cpu);
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ParallelFor((count + kRowsAtOnce - 1) / kRowsAtOnce, threads, cancel, make));
  return Shortened{std::move(norms), audit::Tiles(vectors, dimensions)};
}

arrow::Status CheckRows(std::span<const float> rows, size_t width) {
  if (const size_t count = rows.size() / width; count >= std::numeric_limits<uint32_t>::max()) {
    return arrow::Status::Invalid("too many rows: ", count);
  }
  return CheckFinite(rows, width);
}

using Others = std::optional<std::span<const float>>;

// Of the rows and the others; of the rows and themselves where there are no others.
arrow::Result<std::vector<NearPair>> FindNearPairs(std::span<const float> rows, Others others,
                                                   size_t width, double least, int threads,
                                                   const AuditHooks& hooks, Cpu cpu) {
  ARROW_RETURN_NOT_OK(CheckRows(rows, width));
  if (others) {
    const arrow::Status checked = CheckRows(*others, width);
    if (!checked.ok()) return checked.WithMessage("others: ", checked.message());
  }
  const std::span<const float> second = others.value_or(rows);
  const bool alone = !others && rows.size() == width;
  if (rows.empty() || second.empty() || alone) return std::vector<NearPair>();
  ARROW_ASSIGN_OR_RAISE(const Pca pca, FitSample(rows, others.value_or(std::span<const float>()),
                                                 width, threads, cpu));
  const audit::ShortVectors shorten(pca);
  ARROW_ASSIGN_OR_RAISE(const Shortened of,
                        Shorten(rows, width, shorten, threads, hooks.cancel, cpu));
  std::optional<Shortened> shortened;
  if (others) {
    ARROW_ASSIGN_OR_RAISE(Shortened made,
                          Shorten(*others, width, shorten, threads, hooks.cancel, cpu));
    shortened.emplace(std::move(made));
  }
  const Shortened& among = shortened ? *shortened : of;

  std::vector<std::vector<NearPair>> found(static_cast<size_t>(threads));
  const auto compare = [&](uint32_t a, uint32_t b, int thread) {
    const double cosine = audit::Cosine(rows.data() + a * width, second.data() + b * width, width,
                                        of.norms[a] * among.norms[b], cpu);
    if (cosine >= least) found[static_cast<size_t>(thread)].push_back({a, b, cosine});
    return arrow::Status::OK();
  };
  const auto threshold = static_cast<float>(least - audit::kMargin);
  const auto tell = [&](int64_t done) {
    if (hooks.progress) hooks.progress("compare", done, static_cast<int64_t>(of.tiles.size()));
  };
  ARROW_RETURN_NOT_OK(
      ForEachPair(of.tiles, among.tiles, threshold, threads, hooks.cancel, compare, tell, cpu));
  std::vector<NearPair> pairs;
  for (const auto& part : found) pairs.insert(pairs.end(), part.begin(), part.end());
  std::ranges::sort(pairs, {}, [](const NearPair& pair) { return std::tie(pair.a, pair.b); });
  return pairs;
}

arrow::Result<std::vector<NearPair>> CheckAndFind(std::span<const float> rows, Others others,
                                                  int dimensions, double least, int threads,
                                                  const AuditHooks& hooks, Cpu cpu) {
  ARROW_RETURN_NOT_OK(ResolveCpu(cpu).status());
  ARROW_RETURN_NOT_OK(CheckThreads(threads));
  if (!(least > 0 && least <= 1)) {
    return arrow::Status::Invalid("near: a cosine above 0 and up to 1, not ", least);
  }
  for (const size_t size : {rows.size(), others ? others->size() : 0}) {
    if (dimensions < 1 || size % static_cast<size_t>(dimensions) != 0) {
      return arrow::Status::Invalid(size, " values are no rows of ", dimensions);
    }
  }
  return Guarded([&] {
    return FindNearPairs(rows, others, static_cast<size_t>(dimensions), least, ThreadCount(threads),
                         hooks, cpu);
  });
}

}  // namespace

arrow::Result<std::vector<NearPair>> NearPairs(std::span<const float> rows, int dimensions,
                                               double least, int threads, const AuditHooks& hooks,
                                               Cpu cpu) {
  return CheckAndFind(rows, {}, dimensions, least, threads, hooks, cpu);
}

arrow::Result<std::vector<NearPair>> NearPairs(std::span<const float> rows,
                                               std::span<const float> others, int dimensions,
                                               double least, int threads, const AuditHooks& hooks,
                                               Cpu cpu) {
  return CheckAndFind(rows, others, dimensions, least, threads, hooks, cpu);
}

}  // namespace pomona
