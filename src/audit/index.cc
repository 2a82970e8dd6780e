#include "pomona/index.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "check_threads.h"
#include "cosines.h"
#include "guarded.h"
#include "json.h"
#include "published_rows.h"
#include "row_file.h"
#include "short_vectors.h"
#include "store/checksums.h"
#include "tasks.h"
#include "tiles.h"

namespace pomona {
namespace {

using audit::Cosines;
using audit::NearRow;
using audit::PublishedRows;
using audit::RowFile;
using audit::ShortVectors;
using audit::Tiles;

arrow::Result<FeatureOrigin> ReadOrigin(const PublishedFiles& files, const Checksums& checksums,
                                        const std::string& run_id) {
  const std::string path = kModelInfo.Path(run_id) + '/' + PartName(0, "json");
  ARROW_ASSIGN_OR_RAISE(const std::string text, ReadChecked(files, checksums, path));
  try {
    const nlohmann::json info = ParseJson(text);
    return FeatureOrigin{info.at("weights").at("digest").get<std::string>(),
                         info.at("preprocessing").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return arrow::Status::Invalid(files.Path(path),
                                  ": does not say which weights and preprocessing the features "
                                  "were made with");
  }
}

class PublishedIndex final : public Index {
 public:
  PublishedIndex(std::string run_id, FeatureOrigin origin, const Pca& pca, PublishedRows rows,
                 RowFile features, int threads, Cpu cpu)
      : run_id_(std::move(run_id)),
        origin_(std::move(origin)),
        shorten_(pca),
        rows_(std::move(rows)),
        tiles_(rows_.short_vectors, rows_.dimensions),
        features_(std::move(features)),
        threads_(threads),
        cpu_(cpu) {
    // The tiles have them, and nothing asks for the others. To assign {} would keep the memory.
    const auto drop = [](auto&... columns) {
      (std::decay_t<decltype(columns)>().swap(columns), ...);
    };
    drop(rows_.short_vectors, rows_.residual, rows_.mahalanobis, rows_.images, rows_.roots);
  }

  const std::string& run_id() const override { return run_id_; }
  const FeatureOrigin& origin() const override { return origin_; }
  int dimensions() const override { return static_cast<int>(features_.width()); }
  size_t size() const override { return rows_.size(); }
  std::string_view path(uint32_t row) const override { return rows_.paths[row]; }
  std::string_view label(uint32_t row) const override { return rows_.label(row); }

  std::optional<uint32_t> Find(std::string_view path) const override {
    size_t first = 0, last = size();
    while (first < last) {
      const size_t middle = first + (last - first) / 2;
      if (rows_.paths[middle] < path) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    if (first == size() || rows_.paths[first] != path) return std::nullopt;
    return static_cast<uint32_t>(first);
  }

  arrow::Result<std::vector<Neighbour>> Search(std::span<const float> queries, int count,
                                               const AuditHooks& hooks) const override {
    return Guarded([&] { return SearchAll(queries, count, hooks); });
  }

  arrow::Result<std::vector<Neighbour>> SearchOthers(uint32_t row, int count,
                                                     const AuditHooks& hooks) const override {
    return Guarded([&]() -> arrow::Result<std::vector<Neighbour>> {
      RowFile::Reader reader(features_);
      ARROW_ASSIGN_OR_RAISE(const float* const features, reader.Read(row));
      // One more than asked for, of which one is the image itself, unless so many are equal to it.
      const size_t more = std::min(static_cast<size_t>(std::max(count, 0)), size()) + 1;
      ARROW_ASSIGN_OR_RAISE(auto found,
                            SearchAll({features, features_.width()},
                                      count < 1 ? count : static_cast<int>(more), hooks));
      const auto itself = std::ranges::find(found, row, &Neighbour::row);
      found.erase(itself == found.end() ? found.end() - 1 : itself);
      return found;
    });
  }

 private:
  arrow::Result<std::vector<Neighbour>> SearchAll(std::span<const float> queries, int count,
                                                  const AuditHooks& hooks) const {
    const size_t width = features_.width();
    if (count < 1) return arrow::Status::Invalid("k: at least 1, not ", count);
    if (queries.size() % width != 0) {
      return arrow::Status::Invalid(queries.size(), " values are no rows of ", width);
    }
    const size_t n = queries.size() / width;
    ARROW_RETURN_NOT_OK(CheckFinite(queries, width));
    const size_t each = std::min(static_cast<size_t>(count), size());
    std::vector<Neighbour> found(n * each);
    if (found.empty()) return found;

    std::vector<double> norms(n);
    std::vector<float> vectors(n * shorten_.dimensions());
    shorten_.Make(queries, norms, vectors, cpu_);
    const Tiles tiles(vectors, shorten_.dimensions());
    const int threads = static_cast<int>(std::min(static_cast<size_t>(threads_), tiles.size()));
    std::vector<Cosines> cosines = Cosines::OfThreads(threads, rows_.norms, features_, cpu_);
    const auto cosine = [&](uint32_t query, uint32_t row, int thread) {
      return cosines[static_cast<size_t>(thread)].Of(queries.data() + query * width, norms[query],
                                                     row);
    };
    const auto use = [&](uint32_t query, std::span<const NearRow> nearest, int) {
      std::ranges::transform(
          nearest, found.begin() + static_cast<ptrdiff_t>(query * each),
          [](const NearRow& near) { return Neighbour{near.row, audit::Distance(near.product)}; });
      return arrow::Status::OK();
    };
    const auto tell = [&](int64_t done) {
      if (hooks.progress) hooks.progress("search", done, static_cast<int64_t>(tiles.size()));
    };
    ARROW_RETURN_NOT_OK(ForEachNearest(tiles, tiles_, each, audit::ByCosine(cosine), threads,
                                       hooks.cancel, use, tell, cpu_));
    return found;
  }

  const std::string run_id_;
  const FeatureOrigin origin_;
  const ShortVectors shorten_;
  PublishedRows rows_;
  const Tiles tiles_;
  const RowFile features_;
  const int threads_;
  const Cpu cpu_;
};

arrow::Result<std::unique_ptr<Index>> OpenIndex(const std::string& output,
                                                const IndexOptions& options,
                                                const AuditHooks& hooks) {
  ARROW_RETURN_NOT_OK(CheckThreads(options.threads));
  ARROW_RETURN_NOT_OK(ResolveCpu(options.cpu).status());
  const int threads = ThreadCount(options.threads);
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles files,
                        PublishedFiles::Open(output, options.s3, hooks.cancel));
  ARROW_ASSIGN_OR_RAISE(const std::string run_id, FindRunId(files, options.run_id));
  ARROW_ASSIGN_OR_RAISE(const Checksums checksums, audit::ReadRecorded(files, run_id));
  ARROW_ASSIGN_OR_RAISE(FeatureOrigin origin, ReadOrigin(files, checksums, run_id));
  ARROW_ASSIGN_OR_RAISE(const Pca pca, audit::ReadPublishedPca(files, checksums, run_id));
  ARROW_ASSIGN_OR_RAISE(RowFile features,
                        RowFile::CreateTemporary(static_cast<size_t>(pca.dimensions())));
  const auto tell = [&](int64_t done, int64_t total) {
    if (hooks.progress) hooks.progress("read", done, total);
  };
  ARROW_ASSIGN_OR_RAISE(PublishedRows rows,
                        ReadPublishedRows(files, checksums, run_id, pca, features, threads,
                                          options.cpu, hooks.cancel, tell));
  return std::make_unique<PublishedIndex>(run_id, std::move(origin), pca, std::move(rows),
                                          std::move(features), threads, options.cpu);
}

}  // namespace

arrow::Result<std::unique_ptr<Index>> Index::Open(const std::string& output,
                                                  const IndexOptions& options,
                                                  const AuditHooks& hooks) {
  return Guarded([&] { return OpenIndex(output, options, hooks); });
}

}  // namespace pomona
