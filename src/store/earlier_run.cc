#include "earlier_run.h"

#include <algorithm>
#include <utility>

#include "json.h"
#include "layout.h"

namespace pomona {
namespace {

// Runs that are looked at.
constexpr size_t kRecentRuns = 10;

std::string RecordPath(const std::string& run_id, size_t part) {
  return kRunInfo.Path(run_id) + "/" + ItemRecordName(part);
}

bool HaveStatistics(const std::vector<ImageProperties>& images, StatsKind stats) {
  return std::ranges::all_of(
      images, [&](const ImageProperties& image) { return image.statistics.Has(stats); });
}

// The rows of a run; 0 where it was made by another recipe, or without such statistics.
int64_t RowsOf(const PublishedFiles& files, const std::string& run_id, const std::string& recipe,
               StatsKind stats) {
  const std::string path = RecordPath(run_id, 0);
  const auto record = ItemRecord::Parse(files.Path(path), files.Read(path).ValueOr(""));
  if (!record.ok() || record->recipe != recipe || !HaveStatistics(record->images, stats)) return 0;
  const auto text = files.Read(kRunInfo.Path(run_id) + "/" + PartName(0, "json"));
  const auto info = ParseJson(text.ValueOr(""));
  const nlohmann::json::json_pointer rows("/counts/rows");
  return info.contains(rows) && info[rows].is_number_integer() ? info[rows].get<int64_t>() : 0;
}

}  // namespace

EarlierRun::EarlierRun(PublishedFiles files, std::string run_id, std::string recipe, int dimensions,
                       StatsKind stats)
    : files_(std::move(files)),
      run_id_(std::move(run_id)),
      recipe_(std::move(recipe)),
      dimensions_(dimensions),
      stats_(stats) {}

arrow::Result<std::unique_ptr<EarlierRun>> EarlierRun::Find(const PublishedFiles& files,
                                                            const std::string& recipe,
                                                            int dimensions, StatsKind stats) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> ids, PublishedRuns(files));
  std::vector<std::pair<std::string, int64_t>> runs;  // ids and rows, the newest first
  int64_t most_rows = 0;
  for (const std::string& id : ids) {
    if (runs.size() == kRecentRuns) break;
    const int64_t rows = RowsOf(files, id, recipe, stats);
    if (rows == 0) continue;
    runs.emplace_back(id, rows);
    most_rows = std::max(most_rows, rows);
  }
  for (const auto& [id, rows] : runs) {
    if (rows >= most_rows - rows) {
      return std::unique_ptr<EarlierRun>(new EarlierRun(files, id, recipe, dimensions, stats));
    }
  }
  return nullptr;
}

std::unique_ptr<EarlierRun> EarlierRun::Open(const PublishedFiles& files, const std::string& run_id,
                                             const std::string& recipe, int dimensions,
                                             StatsKind stats) {
  return std::unique_ptr<EarlierRun>(new EarlierRun(files, run_id, recipe, dimensions, stats));
}

// Opens the next part in which the row of the item `wanted`, or of a later one, may be.
arrow::Status EarlierRun::OpenPart(const Item& wanted) {
  const std::string path_wanted = HexOfPath(wanted.path);
  const std::string root_wanted = path_wanted.substr(0, 2 * size_t{wanted.root_size});
  while (true) {
    const size_t part = part_++;
    const std::string path = RecordPath(run_id_, part);
    ARROW_ASSIGN_OR_RAISE(const bool exists, files_.Exists(path));
    if (!exists) {
      at_end_ = true;
      return arrow::Status::OK();
    }
    if (checksums_.empty()) {
      ARROW_ASSIGN_OR_RAISE(checksums_, ReadChecksums(files_, run_id_));
    }
    ARROW_ASSIGN_OR_RAISE(const std::string bytes, ReadChecked(files_, checksums_, path));
    ARROW_ASSIGN_OR_RAISE(record_, ItemRecord::Parse(files_.Path(path), bytes));
    by_whole_path_ = path_wanted.starts_with(record_.root) || record_.root.starts_with(root_wanted);
    const std::string last = by_whole_path_ ? record_.root + record_.last_path : record_.last_path;
    if (last < (by_whole_path_ ? path_wanted : path_wanted.substr(root_wanted.size()))) continue;
    if (record_.recipe != recipe_) return arrow::Status::Invalid(files_.Path(path), ": changed");

    ARROW_ASSIGN_OR_RAISE(reader_,
                          OpenFeaturesPart(files_, run_id_, part, dimensions_, &features_));
    part_row_ = row_ = 0;
    return ReadBlock();
  }
}

// Reads the rows from part_row_ on, and sees that they are those that were published.
arrow::Status EarlierRun::ReadBlock() {
  ARROW_RETURN_NOT_OK(reader_->Read(&block_));
  const size_t published = record_.checksums.size(), rows = block_.rows();
  if (!block_.doubles.empty() || part_row_ + rows > published ||
      (rows == 0 && part_row_ < published)) {
    return arrow::Status::Invalid(files_.Path(features_), ": other rows than were published");
  }
  const auto dimensions = static_cast<size_t>(dimensions_);
  for (size_t i = 0; i < rows; ++i) {
    const auto features = std::span(block_.floats).subspan(i * dimensions, dimensions);
    if (RowChecksum(RelativePathOf(i), features) != record_.checksums[part_row_ + i]) {
      return arrow::Status::Invalid(files_.Path(features_), ": the row of ", block_.paths[i],
                                    " is not as it was published: its checksum is wrong");
    }
  }
  return arrow::Status::OK();
}

std::string_view EarlierRun::RelativePathOf(size_t row) const {
  const std::string_view path = block_.paths[row];
  return path.substr(std::min(record_.root.size() / 2, path.size()));
}

arrow::Status EarlierRun::Fill(std::span<const Item> items, std::span<float> features,
                               std::span<ImageProperties> images, std::span<uint8_t> found) {
  std::fill(found.begin(), found.end(), 0);
  if (at_end_) return arrow::Status::OK();
  const arrow::Status status = Fill(items, features.data(), images.data(), found.data());
  if (!status.ok()) at_end_ = true;
  return status;
}

arrow::Status EarlierRun::Fill(std::span<const Item> items, float* features,
                               ImageProperties* images, uint8_t* found) {
  for (size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    // Up to the first row that is not before the item.
    while (true) {
      if (!reader_) {
        ARROW_RETURN_NOT_OK(OpenPart(item));
        if (at_end_) return arrow::Status::OK();
      }
      while (row_ < block_.rows() && NameOf(row_) < NameOf(item)) ++row_;
      if (row_ < block_.rows()) break;
      part_row_ += block_.rows();
      row_ = 0;
      if (block_.rows() > 0) ARROW_RETURN_NOT_OK(ReadBlock());
      if (block_.rows() == 0) reader_.reset();
    }
    if (NameOf(row_) != NameOf(item)) continue;
    const size_t row = part_row_ + row_;
    if (record_.sizes[row] != item.size || record_.times[row] != item.modified_ns ||
        record_.states[row] != item.state || !record_.images[row].statistics.Has(stats_)) {
      continue;
    }
    const size_t dimensions = static_cast<size_t>(dimensions_);
    std::copy_n(block_.floats.data() + row_ * dimensions, dimensions, features + i * dimensions);
    images[i] = record_.images[row];
    images[i].statistics = images[i].statistics.Of(stats_);
    found[i] = 1;
  }
  return arrow::Status::OK();
}

}  // namespace pomona
