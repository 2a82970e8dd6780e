#include "pomona/verify.h"

#include <arrow/util/io_util.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "audit_state.h"
#include "checksums.h"
#include "item_record.h"
#include "layout.h"
#include "part_reader.h"
#include "pomona/location.h"
#include "pomona/pca.h"
#include "published_files.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A table that a run has.
struct Table {
  enum class Kind { kFeatures, kPca, kMetadata };

  Kind kind;
  const OutputFolder* folder;
  std::string_view extension;
  decltype(&OpenCsvPart) open;
  int dimensions;
};

class Verifier {
 public:
  Verifier(PublishedFiles files, std::string run_id, CancelToken cancel)
      : files_(std::move(files)), cancel_(cancel) {
    result_.run_id = std::move(run_id);
  }

  arrow::Result<VerifyResult> Verify() {
    CheckFiles();
    CheckRunInfo();
    CheckTables();
    CheckRest();
    ARROW_RETURN_NOT_OK(cancel_.Check());
    return std::move(result_);
  }

  // Of an audit only the files.
  arrow::Result<VerifyResult> VerifyFiles() {
    CheckFiles();
    CheckRest();
    ARROW_RETURN_NOT_OK(cancel_.Check());
    return std::move(result_);
  }

 private:
  // A file that is missing is missed again where its rows are read.
  void Report(const std::string& problem, bool damage = true) {
    result_.damaged |= damage;
    std::vector<std::string>& problems = result_.problems;
    if (problems.size() < kMaxProblems && std::ranges::find(problems, problem) == problems.end()) {
      problems.push_back(problem);
    }
  }
  void Report(const arrow::Status& status) {
    if (status.ok()) return;
    const bool unread = CouldNotBeRead(status);
    unread_ |= unread;
    Report(status.message(), !unread);
  }

  // What is there may be as it was: permission is lacking, or a disk or the network fails. On this
  // machine, errors without a number are Parquet's, of what is no file of its own.
  bool CouldNotBeRead(const arrow::Status& status) const {
    const int error = arrow::internal::ErrnoFromStatus(status);
    if (!status.IsIOError() || error == ENOENT || error == ENOTDIR || error == ELOOP) return false;
    return error != 0 || IsS3Uri(files_.output());
  }

  // Below the output.
  std::string Path(const OutputFolder& folder, const std::string& name) const {
    return folder.Path(result_.run_id) + "/" + name;
  }

  std::optional<json> ReadJson(const OutputFolder& folder);
  arrow::Result<Pca> LoadPca() const;
  void CheckFiles();
  void CheckFile(const std::string& path, PublishedFiles::Held* held);
  void CheckRest();
  void CheckRunInfo();
  void CheckTables();
  void CheckErrors(int64_t rejects);
  void CheckPart(size_t part, const std::vector<Table>& tables, const Pca& pca);
  arrow::Status CheckBlock(Table::Kind kind, const std::string& path, const RowBlock& block,
                           const RowBlock& first, std::optional<int64_t>* next_id) const;

  PublishedFiles files_;
  const CancelToken cancel_;
  VerifyResult result_;
  std::set<std::string> names_;  // of files, that have a checksum
  Checksums unchecked_;          // of those that were not read yet
  std::optional<int64_t> rows_;  // that run_info tells
  bool unread_ = false;          // whether rows may be missing from result_.rows
  std::string last_path_;        // of the row before
  // Of the row that follows in the images' table; none once that was left out of a part.
  std::optional<int64_t> next_id_ = 0;
  std::vector<double> projected_;
};

// The file is as it was. Over a network it is held for those who open it next.
void Verifier::CheckFile(const std::string& path, PublishedFiles::Held* held) {
  const auto checksum = unchecked_.extract(path);
  if (checksum.empty() || cancel_.requested()) return;
  std::shared_ptr<arrow::Buffer> whole;
  const auto found = files_.Sha256Of(path, held ? &whole : nullptr);
  if (!found.ok()) {
    Report(found.status());
  } else if (*found != checksum.mapped()) {
    Report(files_.Path(path) + ": its checksum is wrong");
  }
  if (whole) held->emplace(path, std::move(whole));
}

// Those that nobody had to read.
void Verifier::CheckRest() {
  while (!unchecked_.empty() && !cancel_.requested()) {
    CheckFile(std::string(unchecked_.begin()->first), nullptr);
  }
}

// All files are there, and none beside them.
void Verifier::CheckFiles() {
  const auto checksums = ReadChecksums(files_, result_.run_id);
  if (!checksums.ok()) return Report(checksums.status());
  unchecked_ = *checksums;
  for (const auto& [path, sha256] : unchecked_) names_.insert(path);
  result_.files = static_cast<int64_t>(names_.size());

  std::set<std::string> folders;
  for (const std::string& path : names_) {
    // And those that one inside another lies in.
    fs::path folder = fs::path(path).parent_path();
    for (; IsFolderOfRun(folder.string(), result_.run_id, files_.folders());
         folder = folder.parent_path()) {
      folders.insert(folder);
    }
  }
  for (const OutputFolder* folder : files_.folders()) {
    const std::string path = folder->Path(result_.run_id);
    const auto listed = files_.List(path);
    if (!listed.ok()) {
      Report(listed.status());
      continue;
    }
    bool success = false;
    for (const arrow::fs::FileInfo& info : *listed) {
      const std::string name = info.base_name();
      success = success || name == kSuccess;
      const std::string below = path + "/" + name;
      const bool known =
          name == kSuccess || name == kChecksumsName || names_.contains(below) ||
          name.starts_with('.') ||
          (info.IsDirectory() && IsFolderOfRun(below, result_.run_id, files_.folders()));
      if (!known) Report(files_.Path(path) + "/" + name + ": no file of this run");
    }
    if (folders.contains(path) && !success) {
      Report(files_.Path(path) + "/_SUCCESS is missing");
    }
  }
}

std::optional<json> Verifier::ReadJson(const OutputFolder& folder) {
  auto parsed = ReadObject(files_, Path(folder, PartName(0, "json")));
  if (parsed.ok()) return *std::move(parsed);
  Report(parsed.status());
  return std::nullopt;
}

// A count that may be missing from damaged JSON.
std::optional<int64_t> Count(const json& object, const std::string& name) {
  constexpr int64_t kMost = int64_t{1} << 53;  // what sums of a few leave far from overflow
  if (!object.is_object() || !object.contains(name) || !object[name].is_number_integer()) return {};
  const int64_t count = object[name].get<int64_t>();
  if (count < 0 || count > kMost) return {};
  return count;
}

void Verifier::CheckRunInfo() {
  PublishedFiles::Held held;
  for (const OutputFolder* folder :
       {&kRunInfo, &kModelInfo, &kErrors, &kErrorsParquet, &kPcaModel}) {
    for (const char* extension : {"json", "csv", "parquet", "safetensors"}) {
      CheckFile(Path(*folder, PartName(0, extension)), &held);
    }
  }
  files_ = files_.Holding(std::move(held));
  const std::optional<json> info = ReadJson(kRunInfo);
  if (!info) return;
  const json counts = info->value("counts", json());
  const auto listed = Count(counts, "listed"), rows = Count(counts, "rows"),
             rejects = Count(counts, "rejects"), skips = Count(counts, "skips");
  if (!listed || !rows || !rejects || !skips) {
    return Report(files_.Path(Path(kRunInfo, PartName(0, "json"))) + ": the counts are missing");
  }
  rows_ = rows;
  if (*listed != *rows + *rejects + *skips) {
    Report("listed " + std::to_string(*listed) + " is not " + std::to_string(*rows) + " rows + " +
           std::to_string(*rejects) + " rejects + " + std::to_string(*skips) + " skips");
  }
  CheckErrors(*rejects);
  if (const std::optional<json> model = ReadJson(kModelInfo)) {
    if (Count(*model, "num_images_processed") != rows) {
      Report(files_.Path(Path(kModelInfo, PartName(0, "json"))) +
             ": another number of images than run_info's");
    }
  }
}

void Verifier::CheckErrors(int64_t rejects) {
  const auto check = [&](const std::string& path, const arrow::Result<int64_t>& rows) {
    if (!rows.ok()) return Report(rows.status());
    if (*rows == rejects) return;
    Report(files_.Path(path) + ": " + std::to_string(*rows) + " rows, but " +
           std::to_string(rejects) + " rejects in run_info");
  };
  const std::string csv = Path(kErrors, PartName(0, "csv"));
  check(csv, CountCsvRows(files_, csv));
  const std::string parquet = Path(kErrorsParquet, PartName(0, "parquet"));
  if (names_.contains(parquet)) check(parquet, CountParquetRows(files_, parquet));
}

arrow::Result<Pca> Verifier::LoadPca() const {
  const std::string path = Path(kPcaModel, PartName(0, "safetensors"));
  ARROW_ASSIGN_OR_RAISE(const std::string bytes, files_.Read(path));
  auto pca = Pca::Deserialize(std::as_bytes(std::span(bytes)));
  if (!pca.ok()) return files_.Explain(path, pca.status());
  return pca;
}

void Verifier::CheckTables() {
  const auto pca = LoadPca();
  files_ = files_.Holding({});  // nobody reads again what was held for others
  Report(pca.status());
  // Without the model, nothing tells the length of vectors.
  if (!pca.ok()) return;

  using Kind = Table::Kind;
  // Features first, then what is made of them.
  std::vector<Table> tables;
  size_t parts = 0;
  for (const Table& table :
       {Table{Kind::kFeatures, &kFeaturesParquet, "parquet", OpenParquetPart, pca->dimensions()},
        Table{Kind::kFeatures, &kFeaturesCsv, "csv", OpenCsvPart, pca->dimensions()},
        Table{Kind::kPca, &kPcaParquet, "parquet", OpenParquetPart, pca->components()},
        Table{Kind::kPca, &kPcaCsv, "csv", OpenCsvPart, pca->components()},
        Table{Kind::kMetadata, &kMetadata, "csv", OpenCsvPart, 0},
        Table{Kind::kMetadata, &kMetadataParquet, "parquet", OpenParquetPart, 0}}) {
    const std::string folder = table.folder->Path(result_.run_id) + "/part-";
    const auto in_folder = [&](const std::string& path) { return path.starts_with(folder); };
    const auto count = static_cast<size_t>(std::count_if(names_.begin(), names_.end(), in_folder));
    if (count == 0) continue;
    tables.push_back(table);
    if (tables.size() > 1 && count != parts) {
      Report(folder + "*: " + std::to_string(count) + " parts, where another table has " +
             std::to_string(parts));
    }
    parts = std::max(parts, count);
  }
  for (size_t part = 0; part < parts; ++part) {
    if (cancel_.requested()) return;
    CheckPart(part, tables, *pca);
  }
  if (rows_ && *rows_ != result_.rows && !unread_) {
    Report(std::to_string(result_.rows) + " rows in the tables, but " + std::to_string(*rows_) +
           " in run_info");
  }
}

// Walks through a part of all tables at once. A table that fails is left out from there on.
void Verifier::CheckPart(size_t part, const std::vector<Table>& tables, const Pca& pca) {
  struct Walk {
    const Table* table;
    std::string path;
    std::unique_ptr<PartReader> reader;
    RowBlock block;
  };
  std::vector<Walk> walks;
  for (const Table& table : tables) {
    Walk walk{&table, Path(*table.folder, PartName(part, table.extension)), nullptr, {}};
    PublishedFiles::Held held;
    CheckFile(walk.path, &held);
    auto reader = table.open(files_.Holding(std::move(held)), walk.path, table.dimensions);
    Report(reader.status());
    if (!reader.ok()) continue;
    walk.reader = *std::move(reader);
    walks.push_back(std::move(walk));
  }
  std::optional<int64_t> next_id = std::exchange(next_id_, std::nullopt);
  bool told_of_order = false;
  while (!(cancel_.requested())) {
    std::erase_if(walks, [&](Walk& walk) {
      arrow::Status read = walk.reader->Read(&walk.block);
      if (read.ok() && walk.table->kind == Table::Kind::kFeatures && !walk.block.doubles.empty()) {
        read = arrow::Status::Invalid(files_.Path(walk.path), ": features are float32");
      }
      Report(read);
      return !read.ok();
    });
    if (std::ranges::all_of(walks, [](const Walk& walk) { return walk.block.rows() == 0; })) break;

    const Walk& first = walks.front();
    result_.rows += static_cast<int64_t>(first.block.rows());
    for (const std::string& path : first.block.paths) {
      if (path <= last_path_ && !std::exchange(told_of_order, true)) {
        Report(files_.Path(first.path) + ": " + path + " stands after " + last_path_);
      }
      last_path_ = path;
    }
    projected_.clear();
    if (first.table->kind == Table::Kind::kFeatures) {
      projected_.resize(first.block.rows() * static_cast<size_t>(pca.components()));
      pca.Project(first.block.floats, projected_);
    }
    const auto differs = [&](const Walk& walk) {
      const arrow::Status same =
          CheckBlock(walk.table->kind, files_.Path(walk.path), walk.block, first.block, &next_id);
      Report(same);
      return !same.ok();
    };
    walks.erase(std::remove_if(walks.begin() + 1, walks.end(), differs), walks.end());
  }
  const auto has_ids = [](const Walk& walk) { return walk.table->folder == &kMetadataParquet; };
  if (std::ranges::any_of(walks, has_ids)) next_id_ = next_id;
}

// Against the block of the same rows of the first table. `next_id`: as next_id_.
arrow::Status Verifier::CheckBlock(Table::Kind kind, const std::string& path, const RowBlock& block,
                                   const RowBlock& first, std::optional<int64_t>* next_id) const {
  if (block.paths != first.paths || block.labels != first.labels) {
    return arrow::Status::Invalid(path, ": other rows than the other tables have");
  }
  for (size_t i = 0; i < block.ids.size() && *next_id; ++i, ++**next_id) {
    if (block.ids[i] == **next_id) continue;
    return arrow::Status::Invalid(path, ": ", block.paths[i], " has the number ", block.ids[i],
                                  " in the place of ", **next_id);
  }
  if (kind == Table::Kind::kFeatures && block.floats != first.floats) {
    return arrow::Status::Invalid(path, ": other features than in the other format");
  }
  if (kind != Table::Kind::kPca) return arrow::Status::OK();
  for (size_t i = 0; i < projected_.size(); ++i) {
    const bool same = block.doubles.empty() ? block.floats[i] == static_cast<float>(projected_[i])
                                            : block.doubles[i] == projected_[i];
    if (!same) {
      const size_t row = i / (projected_.size() / block.rows());
      return arrow::Status::Invalid(path, ": the projection of ", block.paths[row],
                                    " is not what its features give");
    }
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<VerifyResult> Verify(const std::string& output, const std::string& run_id,
                                   const S3Options& s3, CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles files, PublishedFiles::Open(output, s3, cancel));
  ARROW_ASSIGN_OR_RAISE(const std::string id, FindRunId(files, run_id));
  ARROW_ASSIGN_OR_RAISE(VerifyResult result, Verifier(files, id, cancel).Verify());
  const PublishedFiles audits = files.Audits();
  const auto state = FindAudit(files, id);
  if (state.ok() && *state == AuditState::kNone) return result;
  ARROW_ASSIGN_OR_RAISE(VerifyResult audit, Verifier(audits, id, cancel).VerifyFiles());
  result.files += audit.files;
  result.damaged |= audit.damaged;
  // Of which run an audit is that cannot be read nobody knows.
  if (state.ok() && *state == AuditState::kOfAnother && audit.problems.empty()) {
    result.problems.push_back(audits.Path(kRunInfo.Path(id)) + ": the audit of another run");
    result.damaged = true;
  }
  std::ranges::move(audit.problems, std::back_inserter(result.problems));
  result.problems.resize(std::min(result.problems.size(), kMaxProblems));
  return result;
}

}  // namespace pomona
