#include "s3_folder.h"

#include <arrow/io/file.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/future.h>
#include <arrow/util/io_util.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "disk.h"
#include "guarded.h"
#include "pomona/location.h"
#include "s3/connection.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

// Larger files go in parts of this size, and a file has this many of them at most.
constexpr int64_t kPartBytes = int64_t{8} << 20;
constexpr int64_t kMostParts = 10'000;
constexpr size_t kPartsInFlight = 4;  // of each file

std::span<const uint8_t> BytesOf(const arrow::Buffer& buffer) {
  return {buffer.data(), static_cast<size_t>(buffer.size())};
}

arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenToUpload(const std::string& path) {
  auto mapped = arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ);
  // Not every file system can map files.
  if (arrow::internal::ErrnoFromStatus(mapped.status()) != ENODEV) return mapped;
  return arrow::io::ReadableFile::Open(path);
}

}  // namespace

arrow::Result<std::unique_ptr<S3Folder>> S3Folder::Open(const std::string& uri,
                                                        const S3Options& options,
                                                        CancelToken cancel, OutputFolders folders) {
  std::unique_ptr<S3Folder> folder(new S3Folder);
  folder->folders_ = folders;
  ARROW_ASSIGN_OR_RAISE(folder->uri_, NormalS3Uri(uri));
  ARROW_ASSIGN_OR_RAISE(folder->connection_, S3Connection::Open(folder->uri_, options, cancel));
  return folder;
}

std::string S3Folder::Key(std::string_view below) const {
  return S3Key(uri_ + '/' + std::string(below));
}

arrow::Result<std::string> S3Folder::ReadText(const std::string& below) const {
  auto text = files().Read(below);
  if (arrow::internal::ErrnoFromStatus(text.status()) == ENOENT) return std::string();
  return text;
}

arrow::Status S3Folder::Put(const std::string& below, std::string_view text) {
  ++requests_;
  bytes_ += static_cast<int64_t>(text.size());
  const arrow::Status status =
      connection_->Put(Key(below), {reinterpret_cast<const uint8_t*>(text.data()), text.size()})
          .status();
  return status.ok() ? status : connection_->Explain("cannot write", uri_ + '/' + below, status);
}

arrow::Status S3Folder::PutFile(const std::string& local, const std::string& below,
                                CancelToken cancel) {
  const Clock::time_point start = Clock::now();
  ARROW_ASSIGN_OR_RAISE(const auto file, OpenToUpload(local));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  const auto put = [&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(cancel.Check());
    if (size > kPartBytes) return PutParts(*file, size, Key(below), cancel);
    ARROW_ASSIGN_OR_RAISE(const auto bytes, file->ReadAt(0, size));
    ++requests_;
    return connection_->Put(Key(below), BytesOf(*bytes)).status();
  };
  const arrow::Status status = put();
  bytes_ += size;
  microseconds_ +=
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
  if (status.ok() || status.IsCancelled()) return status;
  return connection_->Explain("cannot write", uri_ + '/' + below, status);
}

// Errors: the object does not appear.
arrow::Status S3Folder::PutParts(arrow::io::RandomAccessFile& file, int64_t size,
                                 const std::string& key, CancelToken cancel) {
  const int64_t part_bytes = std::max(kPartBytes, size / kMostParts + 1);
  ARROW_ASSIGN_OR_RAISE(const std::string upload, connection_->BeginUpload(key));
  ++requests_;
  std::vector<std::string> etags;
  std::deque<arrow::Future<std::string>> sending;
  const auto put = [&]() -> arrow::Status {
    for (int64_t at = 0; at < size || !sending.empty();) {
      for (; at < size && sending.size() < kPartsInFlight; at += part_bytes) {
        ARROW_RETURN_NOT_OK(cancel.Check());
        const int number = static_cast<int>(at / part_bytes + 1);
        ARROW_ASSIGN_OR_RAISE(auto part, connection_->executor()->Submit([&, at, number] {
          return Guarded([&]() -> arrow::Result<std::string> {
            ARROW_ASSIGN_OR_RAISE(const auto bytes, file.ReadAt(at, part_bytes));
            return connection_->PutPart(key, upload, number, BytesOf(*bytes));
          });
        }));
        sending.push_back(std::move(part));
        ++requests_;
      }
      ARROW_ASSIGN_OR_RAISE(etags.emplace_back(), sending.front().result());
      sending.pop_front();
    }
    ARROW_RETURN_NOT_OK(cancel.Check());
    ++requests_;
    return connection_->CompleteUpload(key, upload, etags);
  };
  const arrow::Status status = Guarded(put);
  for (auto& part : sending) part.Wait();
  // What cannot be aborted now is found by the next run.
  if (!status.ok()) (void)connection_->AbortUpload(key, upload);
  return status;
}

arrow::Result<bool> S3Folder::GetFile(const std::string& below, const std::string& local) const {
  const PublishedFiles objects = files();
  auto opened = objects.OpenFile(below);
  if (arrow::internal::ErrnoFromStatus(opened.status()) == ENOENT) return false;
  if (!opened.ok()) return objects.Explain(below, opened.status());
  // Only what the object is to blame for is its error.
  const auto get = [&](OutputFile& file) -> arrow::Status {
    const auto size = (*opened)->GetSize();
    if (!size.ok()) return objects.Explain(below, size.status());
    for (int64_t at = 0; at < *size; at += kPartBytes) {
      const auto chunk = (*opened)->ReadAt(at, std::min(kPartBytes, *size - at));
      if (!chunk.ok()) return objects.Explain(below, chunk.status());
      if ((*chunk)->size() == 0) break;
      ARROW_RETURN_NOT_OK(file.Write((*chunk)->data(), (*chunk)->size()));
    }
    return (*opened)->Close();
  };
  ARROW_RETURN_NOT_OK(ReplaceFile(local, get));
  return true;
}

arrow::Status S3Folder::RemoveFile(const std::string& below) const {
  const arrow::Status status = connection_->Delete(Key(below));
  return status.ok() ? status : connection_->Explain("cannot remove", uri_ + '/' + below, status);
}

arrow::Status S3Folder::RemoveFolder(const std::string& below) const {
  const std::string prefix = Key(below) + '/';
  const auto remove = [&]() -> arrow::Status {
    // One by one: not every store removes several by one request.
    for (std::string next;;) {
      ARROW_ASSIGN_OR_RAISE(const ListingPage page,
                            connection_->List(prefix, /*folders=*/false, next));
      for (const ListedObject& object : page.objects) {
        ARROW_RETURN_NOT_OK(connection_->Delete(object.key));
      }
      if ((next = page.next).empty()) return arrow::Status::OK();
    }
  };
  const arrow::Status status = remove();
  return status.ok() ? status : connection_->Explain("cannot remove", uri_ + '/' + below, status);
}

arrow::Status S3Folder::AbortUploads(const std::vector<std::string>& folders) const {
  // Of the whole bucket: MinIO takes a prefix for an object's whole name.
  const auto uploads = connection_->ListUploads("");
  // Where they may not be listed, or not at all, they have to be left.
  if (!uploads.ok()) {
    return S3Failure::Of(uploads.status()) ? arrow::Status::OK() : uploads.status();
  }
  for (const ListedUpload& upload : *uploads) {
    const bool ours = std::ranges::any_of(folders, [&](const std::string& below) {
      return upload.key.starts_with(Key(below) + '/');
    });
    if (!ours) continue;
    const arrow::Status status = connection_->AbortUpload(upload.key, upload.id);
    if (!status.ok()) return connection_->Explain("cannot remove", uri_, status);
  }
  return arrow::Status::OK();
}

TransferCounts S3Folder::transfers() const {
  return connection_->Transfers(0, requests_, bytes_, 1e-6 * static_cast<double>(microseconds_));
}

}  // namespace pomona
