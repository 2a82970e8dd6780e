#include "reuse.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "checksums.h"
#include "layout.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// Runs that are looked at.
constexpr size_t kRecentRuns = 10;

// Metadata is JSON, which a path need not be.
std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    hex += "0123456789abcdef"[c & 15];
  }
  return hex;
}

std::string Metadata(const SafetensorsFile& file, const std::string& key) {
  const auto entry = file.metadata().find(key);
  return entry == file.metadata().end() ? "" : entry->second;
}

std::string RecordPath(const std::string& run_id, size_t part) {
  return kRunInfo.Path(run_id) + "/" + ItemRecordName(part);
}

arrow::Result<std::shared_ptr<const SafetensorsFile>> ReadRecord(const PublishedFiles& files,
                                                                 const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const std::string bytes, files.Read(path));
  return SafetensorsFile::Copy(files.Path(path), std::as_bytes(std::span(bytes)));
}

// The rows of a run; 0 where it was made by another recipe.
int64_t RowsOf(const PublishedFiles& files, const std::string& run_id, const std::string& recipe) {
  const auto record = ReadRecord(files, RecordPath(run_id, 0));
  if (!record.ok() || Metadata(**record, "recipe") != recipe) return 0;
  const auto text = files.Read(kRunInfo.Path(run_id) + "/" + PartName(0, "json"));
  const auto info = nlohmann::json::parse(text.ValueOr(""), nullptr, /*allow_exceptions=*/false);
  const nlohmann::json::json_pointer rows("/counts/rows");
  return info.contains(rows) && info[rows].is_number_integer() ? info[rows].get<int64_t>() : 0;
}

}  // namespace

arrow::Result<std::vector<std::string>> PublishedRuns(const PublishedFiles& files) {
  // With what is in the folders, rather than to ask for each of them.
  ARROW_ASSIGN_OR_RAISE(const auto listed, files.List(kRunInfo.kind, /*recursive=*/true));
  const std::string prefix = kRunInfo.name + '_';
  std::vector<std::pair<arrow::fs::TimePoint, std::string>> runs;
  for (const arrow::fs::FileInfo& info : listed) {
    const std::string folder = fs::path(info.path()).parent_path().filename();
    if (info.base_name() == "_SUCCESS" && folder.starts_with(prefix)) {
      runs.emplace_back(info.mtime(), folder.substr(prefix.size()));
    }
  }
  std::sort(runs.rbegin(), runs.rend());
  std::vector<std::string> ids;
  for (auto& [time, id] : runs) ids.push_back(std::move(id));
  return ids;
}

arrow::Status WriteItemRecord(const std::string& path, const std::string& recipe,
                              const std::vector<const Item*>& items) {
  std::vector<int64_t> sizes, times;
  for (const Item* item : items) {
    sizes.push_back(item->size);
    times.push_back(item->modified_ns);
  }
  const auto column = [&](const std::vector<int64_t>& values) {
    return TensorView{
        DType::kI64, {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values))};
  };
  return WriteSafetensors(
      path, {{"size", column(sizes)}, {"modified_ns", column(times)}},
      {{"recipe", recipe}, {"last_path", items.empty() ? "" : Hex(items.back()->path)}});
}

EarlierRun::EarlierRun(PublishedFiles files, std::string run_id, std::string recipe, int dimensions)
    : files_(std::move(files)),
      run_id_(std::move(run_id)),
      recipe_(std::move(recipe)),
      dimensions_(dimensions) {}

arrow::Result<std::unique_ptr<EarlierRun>> EarlierRun::Find(const PublishedFiles& files,
                                                            const std::string& recipe,
                                                            int dimensions) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> ids, PublishedRuns(files));
  std::vector<std::pair<std::string, int64_t>> runs;  // ids and rows, the newest first
  int64_t most_rows = 0;
  for (const std::string& id : ids) {
    if (runs.size() == kRecentRuns) break;
    const int64_t rows = RowsOf(files, id, recipe);
    if (rows == 0) continue;
    runs.emplace_back(id, rows);
    most_rows = std::max(most_rows, rows);
  }
  for (const auto& [id, rows] : runs) {
    if (2 * rows >= most_rows) {
      return std::unique_ptr<EarlierRun>(new EarlierRun(files, id, recipe, dimensions));
    }
  }
  return nullptr;
}

// Opens the next part in which a row of the path `wanted` or a later one may be.
arrow::Status EarlierRun::OpenPart(std::string_view wanted) {
  const std::string last = Hex(wanted);
  while (true) {
    const size_t part = part_++;
    const std::string path = RecordPath(run_id_, part);
    ARROW_ASSIGN_OR_RAISE(const bool exists, files_.Exists(path));
    if (!exists) {
      at_end_ = true;
      return arrow::Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(record_, ReadRecord(files_, path));
    if (Metadata(*record_, "last_path") < last) continue;
    if (Metadata(*record_, "recipe") != recipe_) {
      return arrow::Status::Invalid(record_->path(), ": changed");
    }

    const auto name = [&](const OutputFolder& folder, std::string_view extension) {
      return folder.Path(run_id_) + "/" + PartName(part, extension);
    };
    const std::string parquet = name(kFeaturesParquet, "parquet");
    ARROW_ASSIGN_OR_RAISE(const bool has_parquet, files_.Exists(parquet));
    if (has_parquet) {
      ARROW_ASSIGN_OR_RAISE(reader_, OpenParquetPart(files_, parquet, dimensions_));
    } else {
      // Text has no checksums in it.
      const std::string csv = name(kFeaturesCsv, "csv");
      ARROW_ASSIGN_OR_RAISE(const Checksums checksums, ReadChecksums(files_, run_id_));
      ARROW_ASSIGN_OR_RAISE(const std::string sha256, files_.Sha256Of(csv));
      const auto expected = checksums.find(csv);
      if (expected == checksums.end() || expected->second != sha256) {
        return arrow::Status::Invalid(files_.Path(csv), ": its checksum is wrong");
      }
      ARROW_ASSIGN_OR_RAISE(reader_, OpenCsvPart(files_, csv, dimensions_));
    }
    part_row_ = row_ = 0;
    return reader_->Read(&block_);
  }
}

arrow::Status EarlierRun::Fill(std::span<const Item> items, std::span<float> features,
                               std::span<uint8_t> found) {
  std::fill(found.begin(), found.end(), 0);
  if (at_end_) return arrow::Status::OK();
  const arrow::Status status = Fill(items, features.data(), found.data());
  if (!status.ok()) at_end_ = true;
  return status;
}

arrow::Status EarlierRun::Fill(std::span<const Item> items, float* features, uint8_t* found) {
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    // Up to the first row that is not before the item.
    while (true) {
      if (!reader_) {
        ARROW_RETURN_NOT_OK(OpenPart(item.path));
        if (at_end_) return arrow::Status::OK();
      }
      while (row_ < block_.rows() && block_.paths[row_] < item.path) ++row_;
      if (row_ < block_.rows()) break;
      part_row_ += block_.rows();
      row_ = 0;
      if (block_.rows() > 0) ARROW_RETURN_NOT_OK(reader_->Read(&block_));
      if (block_.rows() == 0) reader_.reset();
    }
    if (block_.paths[row_] != item.path) continue;
    ARROW_ASSIGN_OR_RAISE(const TensorView sizes, record_->Get("size"));
    ARROW_ASSIGN_OR_RAISE(const TensorView times, record_->Get("modified_ns"));
    const size_t row = part_row_ + row_;
    if (!block_.doubles.empty() || sizes.dtype != DType::kI64 || times.dtype != DType::kI64 ||
        sizes.values<int64_t>().size() <= row || times.values<int64_t>().size() <= row) {
      return arrow::Status::Invalid(record_->path(), ": not of this run's rows");
    }
    if (sizes.values<int64_t>()[row] != item.size ||
        times.values<int64_t>()[row] != item.modified_ns) {
      continue;
    }
    const size_t dimensions = static_cast<size_t>(dimensions_);
    std::copy_n(block_.floats.data() + row_ * dimensions, dimensions, features + i * dimensions);
    found[i] = 1;
  }
  return arrow::Status::OK();
}

}  // namespace pomona
