#include "published_files.h"

#include <arrow/filesystem/localfs.h>
#include <arrow/io/file.h>
#include <arrow/io/memory.h>
#include <arrow/util/future.h>
#include <arrow/util/io_util.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <queue>
#include <span>
#include <utility>

#include "disk.h"
#include "json.h"
#include "layout.h"
#include "pomona/location.h"
#include "s3/connection.h"
#include "s3/object.h"
#include "sha256.h"

namespace pomona {
namespace {

// Of one file that is read from its beginning to its end.
constexpr size_t kReadsAtOnce = 4;

// The largest are models of the PCA, of 1,280 components: 13 MB.
constexpr int64_t kMaxSmallFile = int64_t{64} << 20;

// The largest parts are features in CSV: 4,096 rows take 55 MB.
constexpr int64_t kMaxHeld = int64_t{64} << 20;

}  // namespace

PublishedFiles::PublishedFiles(std::string output, OutputFolders folders)
    : output_(std::move(output)), folders_(folders) {}

PublishedFiles::PublishedFiles(std::string output, std::shared_ptr<S3Connection> connection,
                               OutputFolders folders)
    : output_(std::move(output)), folders_(folders), connection_(std::move(connection)) {}

arrow::Result<PublishedFiles> PublishedFiles::Open(const std::string& output, const S3Options& s3,
                                                   CancelToken cancel) {
  if (!IsS3Uri(output)) {
    ARROW_ASSIGN_OR_RAISE(std::string path, LocalPath(output));
    std::error_code error;
    if (!std::filesystem::exists(path, error) && !error) {
      return arrow::Status(arrow::StatusCode::IOError, "there is no folder " + path,
                           arrow::internal::StatusDetailFromErrno(ENOENT));
    }
    return PublishedFiles(std::move(path));
  }
  ARROW_ASSIGN_OR_RAISE(std::string uri, NormalS3Uri(output));
  ARROW_ASSIGN_OR_RAISE(auto connection, S3Connection::Open(uri, s3, cancel));
  return PublishedFiles(std::move(uri), std::move(connection));
}

arrow::Result<bool> PublishedFiles::Exists(const std::string& below) const {
  if (!connection_) return pomona::Exists(Path(below));
  const std::string key = S3Key(Path(below));
  const auto object = connection_->Head(key);
  if (object.ok()) return true;
  if (!IsNoSuchKey(object.status())) return Explain(below, object.status());
  // A folder is there where anything is in it.
  const auto inside = connection_->List(key + '/', /*folders=*/true, {}, /*most=*/1);
  if (!inside.ok()) return Explain(below, inside.status());
  return !inside->objects.empty() || !inside->folders.empty();
}

arrow::Result<std::vector<arrow::fs::FileInfo>> PublishedFiles::List(const std::string& folder,
                                                                     bool with_subfolders) const {
  if (!connection_) {
    arrow::fs::FileSelector selector;
    selector.base_dir = Path(folder);
    selector.recursive = with_subfolders;
    selector.max_recursion = 2;  // links may lead round in circles
    selector.allow_not_found = true;
    auto listed = arrow::fs::LocalFileSystem().GetFileInfo(selector);
    if (!listed.ok()) return Explain(folder, listed.status());
    return listed;
  }
  std::vector<arrow::fs::FileInfo> listed;
  const std::string uri = folder.empty() ? output_ : Path(folder);
  const std::string prefix = S3Key(uri).empty() ? "" : S3Key(uri) + '/';
  for (std::string next;;) {
    const auto page = connection_->List(prefix, !with_subfolders, next);
    if (!page.ok()) return Explain(folder, page.status());
    for (const ListedObject& object : page->objects) {
      if (object.key.ends_with('/')) continue;  // marks a folder
      arrow::fs::FileInfo& info = listed.emplace_back(uri + '/' + object.key.substr(prefix.size()),
                                                      arrow::fs::FileType::File);
      info.set_size(object.size);
      info.set_mtime(arrow::fs::TimePoint(std::chrono::nanoseconds(object.modified_ns)));
    }
    for (const std::string& inside : page->folders) {
      listed.emplace_back(
          uri + '/' + inside.substr(prefix.size(), inside.size() - prefix.size() - 1),
          arrow::fs::FileType::Directory);
    }
    if ((next = page->next).empty()) return listed;
  }
}

arrow::Result<std::vector<std::string>> PublishedFiles::Parts(const std::string& folder) const {
  ARROW_ASSIGN_OR_RAISE(const auto listed, List(folder));
  std::vector<std::string> parts;
  for (const arrow::fs::FileInfo& info : listed) {
    // Spark's are called part-00000-<uuid>-c000.csv.
    if (info.base_name().starts_with("part-")) parts.push_back(folder + '/' + info.base_name());
  }
  std::ranges::sort(parts);
  return parts;
}

arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> PublishedFiles::OpenFile(
    const std::string& below) const {
  if (held_) {
    const auto held = held_->find(below);
    if (held != held_->end()) return std::make_shared<arrow::io::BufferReader>(held->second);
  }
  if (!connection_) {
    const auto fd = OpenRegularFile(Path(below));
    if (!fd.ok()) return Explain(below, fd.status());
    return arrow::io::ReadableFile::Open(*fd);
  }
  auto file = OpenS3Object(connection_.get(), S3Key(Path(below)));
  if (!file.ok()) return Explain(below, file.status());
  return file;
}

arrow::Result<std::string> PublishedFiles::Read(const std::string& below) const {
  const auto read = [&]() -> arrow::Result<std::string> {
    ARROW_ASSIGN_OR_RAISE(const auto file, OpenFile(below));
    ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
    if (size > kMaxSmallFile) return arrow::Status::Invalid("it is larger than any of Pomona's");
    ARROW_ASSIGN_OR_RAISE(const auto bytes, file->ReadAt(0, size));
    return bytes->ToString();
  };
  auto text = read();
  if (!text.ok()) return Explain(below, text.status());
  return text;
}

arrow::Result<std::string> PublishedFiles::Sha256Of(const std::string& below,
                                                    std::shared_ptr<arrow::Buffer>* whole) const {
  ARROW_ASSIGN_OR_RAISE(const auto file, OpenFile(below));
  Sha256 sha256;
  const auto hash = [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
    const bool is_held = whole && connection_ && size <= kMaxHeld;
    std::vector<uint8_t> held;
    if (is_held) held.reserve(static_cast<size_t>(size));
    std::queue<arrow::Future<std::shared_ptr<arrow::Buffer>>> reading;
    for (int64_t at = 0; at < size || !reading.empty();) {
      for (; at < size && reading.size() < kReadsAtOnce; at += read_bytes()) {
        reading.push(file->ReadAsync(at, read_bytes()));
      }
      ARROW_ASSIGN_OR_RAISE(const auto bytes, reading.front().MoveResult());
      reading.pop();
      sha256.Add(std::span(bytes->data(), static_cast<size_t>(bytes->size())));
      if (is_held) held.insert(held.end(), bytes->data(), bytes->data() + bytes->size());
    }
    if (is_held) *whole = arrow::Buffer::FromVector(std::move(held));
    return arrow::Status::OK();
  };
  const arrow::Status status = hash();
  if (!status.ok()) return Explain(below, status);
  return sha256.Hex();
}

PublishedFiles PublishedFiles::Holding(Held files) const {
  PublishedFiles with = *this;
  with.held_ = std::make_shared<const Held>(std::move(files));
  return with;
}

arrow::Status PublishedFiles::Explain(const std::string& below, const arrow::Status& status) const {
  const std::string path = Path(below);
  if (const int error = arrow::internal::ErrnoFromStatus(status)) {
    return DiskError("read", path, error);
  }
  if (status.ok() || status.message().find(path) != std::string::npos) return status;
  if (IsNoSuchKey(status)) return DiskError("read", path, ENOENT);
  if (S3Failure::Of(status)) return connection_->Explain("cannot read", path, status);
  return status.WithMessage(path, ": ", status.message());
}

arrow::Result<nlohmann::json> ReadObject(const PublishedFiles& files, const std::string& below,
                                         std::string* text) {
  ARROW_ASSIGN_OR_RAISE(const std::string read, files.Read(below));
  if (text) *text = read;
  auto parsed = ParseJson(read);
  if (parsed.is_object()) return parsed;
  return arrow::Status::Invalid(files.Path(below), ": no JSON object");
}

arrow::Result<std::vector<std::string>> PublishedRuns(const PublishedFiles& files) {
  // With what is in the folders, rather than to ask for each of them.
  ARROW_ASSIGN_OR_RAISE(const auto listed,
                        files.List(std::string(kRunInfo.kind), /*with_subfolders=*/true));
  const std::string prefix = std::string(kRunInfo.name) + '_';
  std::vector<std::pair<arrow::fs::TimePoint, std::string>> runs;
  for (const arrow::fs::FileInfo& info : listed) {
    const std::string folder = std::filesystem::path(info.path()).parent_path().filename();
    if (info.base_name() != kSuccess || !folder.starts_with(prefix)) continue;
    std::string id = folder.substr(prefix.size());
    if (CheckRunId(id).ok()) runs.emplace_back(info.mtime(), std::move(id));
  }
  std::sort(runs.rbegin(), runs.rend());
  std::vector<std::string> ids;
  for (auto& [time, id] : runs) ids.push_back(std::move(id));
  return ids;
}

arrow::Result<std::string> FindRunId(const PublishedFiles& files, const std::string& run_id) {
  if (run_id.empty()) {
    ARROW_ASSIGN_OR_RAISE(const std::vector<std::string> runs, PublishedRuns(files));
    if (runs.empty()) return arrow::Status::Invalid("no run is published in ", files.output());
    return runs.front();
  }
  ARROW_RETURN_NOT_OK(CheckRunId(run_id));
  ARROW_ASSIGN_OR_RAISE(const bool published, files.Exists(kRunInfo.Path(run_id)));
  if (published) return run_id;
  return arrow::Status::Invalid("no run ", run_id, " is published in ", files.output());
}

arrow::Status CheckJournal(const std::string& path, const std::string& run_id) {
  if (CheckRunId(run_id).ok()) return arrow::Status::OK();
  return arrow::Status::Invalid(
      path, ": it should name the run that was interrupted while it was ",
      "published, but holds no run's name; nothing was touched. If no run "
      "of yours is unfinished here, remove it");
}

}  // namespace pomona
