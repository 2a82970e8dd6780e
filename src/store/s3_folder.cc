#include "s3_folder.h"

#include <arrow/io/file.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/io_util.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "disk.h"
#include "pomona/location.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kChunkBytes = int64_t{10} << 20;  // of Arrow's parts
constexpr int kChunksInFlight = 4;                  // for each file

// An object being written. Unless it is closed in order, it never appears: Arrow's own stream would
// complete it when it dies.
class ObjectStream {
 public:
  explicit ObjectStream(std::shared_ptr<arrow::io::OutputStream> stream)
      : stream_(std::move(stream)) {}
  ~ObjectStream() {
    if (stream_->closed() || stream_->Abort().ok()) return;
    // Better a stream that nobody can end than a short object.
    new std::shared_ptr<arrow::io::OutputStream>(std::move(stream_));
  }
  arrow::io::OutputStream* operator->() const { return stream_.get(); }

 private:
  std::shared_ptr<arrow::io::OutputStream> stream_;
};

arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenToUpload(const std::string& path) {
  auto mapped = arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ);
  // Not every file system can map files.
  if (arrow::internal::ErrnoFromStatus(mapped.status()) != ENODEV) return mapped;
  return arrow::io::ReadableFile::Open(path);
}

}  // namespace

arrow::Result<std::unique_ptr<S3Folder>> S3Folder::Open(const std::string& uri,
                                                        const S3Options& options,
                                                        CancelToken cancel) {
  std::unique_ptr<S3Folder> folder(new S3Folder);
  ARROW_ASSIGN_OR_RAISE(folder->uri_, NormalS3Uri(uri));
  ARROW_ASSIGN_OR_RAISE(folder->connection_, S3Connection::Open(folder->uri_, options, cancel));
  return folder;
}

std::string S3Folder::Path(std::string_view below) const {
  return S3ArrowPath(uri_) + '/' + std::string(below);
}

arrow::Result<std::string> S3Folder::ReadText(const std::string& below) const {
  auto text = files().Read(below);
  if (arrow::internal::ErrnoFromStatus(text.status()) == ENOENT) return std::string();
  return text;
}

arrow::Status S3Folder::Put(const std::string& below, std::string_view text) {
  ++requests_;
  bytes_ += static_cast<int64_t>(text.size());
  const auto put = [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto stream, connection_->files().OpenOutputStream(Path(below)));
    const ObjectStream upload(std::move(stream));
    ARROW_RETURN_NOT_OK(upload->Write(text.data(), static_cast<int64_t>(text.size())));
    return upload->Close();
  };
  const arrow::Status status = put();
  return status.ok() ? status : connection_->Explain("cannot write", uri_ + '/' + below, status);
}

arrow::Status S3Folder::PutFile(const std::string& local, const std::string& below,
                                CancelToken cancel) {
  const Clock::time_point start = Clock::now();
  ARROW_ASSIGN_OR_RAISE(const auto file, OpenToUpload(local));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  const auto put = [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(auto stream, connection_->files().OpenOutputStream(Path(below)));
    const ObjectStream upload(std::move(stream));
    int chunks = 0;
    for (int64_t at = 0; at < size; at += kChunkBytes) {
      ARROW_RETURN_NOT_OK(cancel.Check());
      ARROW_ASSIGN_OR_RAISE(const auto chunk, file->ReadAt(at, kChunkBytes));
      ARROW_RETURN_NOT_OK(upload->Write(chunk));
      ++requests_;
      if (++chunks % kChunksInFlight == 0) ARROW_RETURN_NOT_OK(upload->Flush());
    }
    // Before Close(), which after a failure leaves nothing to abort.
    ARROW_RETURN_NOT_OK(upload->Flush());
    return upload->Close();
  };
  const arrow::Status status = put();
  bytes_ += size;
  microseconds_ +=
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
  if (status.ok() || status.IsCancelled()) return status;
  return connection_->Explain("cannot write", uri_ + '/' + below, status);
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
    for (int64_t at = 0; at < *size; at += kChunkBytes) {
      const auto chunk = (*opened)->ReadAt(at, std::min(kChunkBytes, *size - at));
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
  const arrow::Status status = connection_->files().DeleteFile(Path(below));
  if (status.ok() || arrow::internal::ErrnoFromStatus(status) == ENOENT) return {};
  return connection_->Explain("cannot remove", uri_ + '/' + below, status);
}

arrow::Status S3Folder::RemoveFolder(const std::string& below) const {
  ARROW_ASSIGN_OR_RAISE(const bool there, files().Exists(below));
  if (!there) return arrow::Status::OK();
  const arrow::Status status = connection_->files().DeleteDir(Path(below));
  return status.ok() ? status : connection_->Explain("cannot remove", uri_ + '/' + below, status);
}

TransferCounts S3Folder::transfers() const {
  return {0, requests_, connection_->retries(), bytes_, 1e-6 * static_cast<double>(microseconds_)};
}

}  // namespace pomona
