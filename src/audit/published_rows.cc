#include "published_rows.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>

#include "reduce/kernels.h"
#include "store/item_record.h"
#include "store/layout.h"
#include "store/part_reader.h"
#include "tasks.h"

namespace pomona::audit {
namespace {

// What of a row's length is no more than rounding.
constexpr double kRounding = 1e-10;

arrow::Status NoRecord(const PublishedFiles& files, const std::string& run_id) {
  return arrow::Status::Invalid(
      files.Path(kRunInfo.Path(run_id)),
      ": has no record of its images (runs of earlier versions and of jobs on Hadoop's file "
      "systems have none); make the run anew by `pomona run`, from a folder or S3");
}

struct Part {
  size_t first_row = 0;
  size_t rows = 0;
  uint32_t root = 0;
  std::vector<int64_t> checksums = {};  // of the rows
  Texts paths = {};
  std::vector<uint32_t> labels = {};  // places in
  std::vector<std::string> label_names = {};
};

class Reading {
 public:
  Reading(const PublishedFiles& files, const Checksums& checksums, const std::string& run_id,
          const Pca& pca, const RowFile& features, Cpu cpu)
      : files_(files),
        checksums_(checksums),
        run_id_(run_id),
        pca_(pca),
        shorten_(pca),
        features_(features),
        cpu_(cpu) {}

  using Poll = std::function<void(int64_t, int64_t)>;

  arrow::Result<PublishedRows> Read(int threads, CancelToken cancel, const Poll& poll) {
    ARROW_RETURN_NOT_OK(ReadRecords());
    rows_.dimensions = shorten_.dimensions();
    rows_.norms.resize(rows_.images.size());
    rows_.residual.resize(rows_.size());
    rows_.mahalanobis.resize(rows_.size());
    rows_.short_vectors.resize(rows_.size() * rows_.dimensions);
    const auto read = [&](size_t part, int) { return ReadPart(part, cancel); };
    ARROW_RETURN_NOT_OK(ParallelFor(parts_.size(), threads, cancel, read,
                                    [&] { poll(done_, static_cast<int64_t>(rows_.size())); }));
    Join();
    return std::move(rows_);
  }

 private:
  arrow::Status ReadRecords();
  arrow::Status ReadPart(size_t part, CancelToken cancel);
  arrow::Status Take(const std::string& path, const RowBlock& block, size_t first_row);
  void Join();

  const PublishedFiles& files_;
  const Checksums& checksums_;
  const std::string& run_id_;
  const Pca& pca_;
  const ShortVectors shorten_;
  const RowFile& features_;
  const Cpu cpu_;
  std::vector<Part> parts_;
  PublishedRows rows_;
  std::atomic<int64_t> done_ = 0;
};

arrow::Status Reading::ReadRecords() {
  for (size_t part = 0;; ++part) {
    const std::string path = kRunInfo.Path(run_id_) + '/' + ItemRecordName(part);
    if (!checksums_.contains(path)) break;
    ARROW_ASSIGN_OR_RAISE(const std::string bytes, ReadChecked(files_, checksums_, path));
    ARROW_ASSIGN_OR_RAISE(const ItemRecord record, ItemRecord::Parse(files_.Path(path), bytes));
    parts_.push_back({.first_row = rows_.images.size(),
                      .rows = record.images.size(),
                      .root = static_cast<uint32_t>(record.root.size() / 2),
                      .checksums = {record.checksums.begin(), record.checksums.end()}});
    rows_.images.insert(rows_.images.end(), record.images.begin(), record.images.end());
  }
  if (rows_.images.size() >= std::numeric_limits<uint32_t>::max()) {
    return arrow::Status::Invalid("an audit takes up to 2^32 images, not ", rows_.images.size());
  }
  return parts_.empty() ? NoRecord(files_, run_id_) : arrow::Status::OK();
}

arrow::Status Reading::ReadPart(size_t number, CancelToken cancel) {
  Part& part = parts_[number];
  std::string path;
  ARROW_ASSIGN_OR_RAISE(const auto reader,
                        OpenFeaturesPart(files_, run_id_, number, pca_.dimensions(), &path));
  std::unordered_map<std::string, uint32_t> labels;
  size_t rows = 0;
  for (RowBlock block;; rows += block.rows()) {
    ARROW_RETURN_NOT_OK(cancel.Check());
    ARROW_RETURN_NOT_OK(reader->Read(&block));
    if (block.rows() == 0) break;
    if (block.rows() > part.rows - rows || block.floats.empty()) {
      return arrow::Status::Invalid(files_.Path(path), ": other rows than were published");
    }
    for (size_t i = 0; i < block.rows(); ++i) {
      if (block.paths[i].size() < part.root) {
        return arrow::Status::Invalid(files_.Path(path), ": a path outside of the tree");
      }
      const size_t width = static_cast<size_t>(pca_.dimensions());
      const auto features = std::span(block.floats).subspan(i * width, width);
      const std::string_view relative = std::string_view(block.paths[i]).substr(part.root);
      if (RowChecksum(relative, features) != part.checksums[rows + i]) {
        return arrow::Status::Invalid(files_.Path(path), ": the row of ", block.paths[i],
                                      " is not as it was published");
      }
      part.paths.Add(block.paths[i]);
      const auto [known, is_new] = labels.emplace(block.labels[i], labels.size());
      if (is_new) part.label_names.push_back(block.labels[i]);
      part.labels.push_back(known->second);
    }
    ARROW_RETURN_NOT_OK(Take(path, block, part.first_row + rows));
    done_ += static_cast<int64_t>(block.rows());
  }
  if (rows == part.rows) return arrow::Status::OK();
  return arrow::Status::Invalid(files_.Path(path), ": ", rows, " rows, where ", part.rows,
                                " were published");
}

// What an audit needs of each row's features.
arrow::Status Reading::Take(const std::string& path, const RowBlock& block, size_t first_row) {
  const auto width = static_cast<size_t>(pca_.dimensions());
  const auto components = static_cast<size_t>(pca_.components());
  const std::span norms(rows_.norms.data() + first_row, block.rows());
  shorten_.Make(block.floats, norms,
                std::span(rows_.short_vectors)
                    .subspan(first_row * rows_.dimensions, block.rows() * rows_.dimensions),
                cpu_);
  for (size_t i = 0; i < block.rows(); ++i) {
    if (!std::isfinite(norms[i])) {
      return arrow::Status::Invalid(files_.Path(path), ": features that are no numbers, of ",
                                    block.paths[i]);
    }
  }

  const std::span<const double> mean = pca_.mean(), scale = pca_.scale();
  std::vector<double> scores(block.rows() * components);
  reduce::ProjectRows(block.floats.data(), block.rows(), width, mean.data(),
                      scale.empty() ? nullptr : scale.data(), pca_.basis().data(), components,
                      scores.data(), cpu_);
  const auto determined = static_cast<size_t>(pca_.determined());
  for (size_t i = 0; i < block.rows(); ++i) {
    double all = 0, inside = 0, distance = 0;
    for (size_t j = 0; j < width; ++j) {
      double value = block.floats[i * width + j] - mean[j];
      if (!scale.empty()) value /= scale[j];
      all += value * value;
    }
    for (size_t c = 0; c < components; ++c) {
      const double square = scores[i * components + c] * scores[i * components + c];
      inside += square;
      if (c < determined) distance += square / pca_.variance()[c];
    }
    const double outside = all - inside;
    rows_.residual[first_row + i] = outside > kRounding * all ? std::sqrt(outside) : 0;
    rows_.mahalanobis[first_row + i] = std::sqrt(distance);
  }
  return features_.Write(first_row, block.floats);
}

void Reading::Join() {
  std::unordered_map<std::string, uint32_t> known;
  for (Part& part : parts_) {
    std::vector<uint32_t> numbers;
    for (std::string& name : part.label_names) {
      const auto [found, is_new] = known.emplace(name, known.size());
      if (is_new) rows_.label_names.push_back(std::move(name));
      numbers.push_back(found->second);
    }
    for (const uint32_t label : part.labels) rows_.labels.push_back(numbers[label]);
    rows_.roots.insert(rows_.roots.end(), part.rows, part.root);
    rows_.paths.Add(part.paths);
    part = {};
  }
}

}  // namespace

std::vector<int64_t> PublishedRows::LabelSizes() const {
  std::vector<int64_t> sizes(label_names.size());
  for (const uint32_t label : labels) ++sizes[label];
  return sizes;
}

arrow::Result<Checksums> ReadRecorded(const PublishedFiles& files, const std::string& run_id) {
  arrow::Result<Checksums> checksums = ReadChecksums(files, run_id);
  if (checksums.ok()) return checksums;
  // They name the record where there is one, so that it is missed if it is gone.
  ARROW_ASSIGN_OR_RAISE(const bool exists, files.Exists(ChecksumsPath(run_id)));
  return exists ? checksums.status() : NoRecord(files, run_id);
}

arrow::Result<Pca> ReadPublishedPca(const PublishedFiles& files, const Checksums& checksums,
                                    const std::string& run_id) {
  const std::string path = kPcaModel.Path(run_id) + '/' + PartName(0, "safetensors");
  ARROW_ASSIGN_OR_RAISE(const std::string bytes, ReadChecked(files, checksums, path));
  return Pca::Deserialize(std::as_bytes(std::span(bytes)), files.Path(path));
}

arrow::Result<PublishedRows> ReadPublishedRows(const PublishedFiles& files,
                                               const Checksums& checksums,
                                               const std::string& run_id, const Pca& pca,
                                               const RowFile& features, int threads, Cpu cpu,
                                               CancelToken cancel,
                                               const std::function<void(int64_t, int64_t)>& poll) {
  return Reading(files, checksums, run_id, pca, features, cpu).Read(threads, cancel, poll);
}

}  // namespace pomona::audit
