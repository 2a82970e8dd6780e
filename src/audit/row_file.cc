#include "row_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <utility>

#include "disk.h"

namespace pomona::audit {
namespace {

// Pairs that are compared one after another are neighbours, so that few rows serve many.
constexpr size_t kKept = 512;
constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

}  // namespace

RowFile::RowFile(int fd, std::string path, size_t width)
    : fd_(fd), path_(std::move(path)), width_(width) {}

RowFile::RowFile(RowFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)), width_(other.width_) {}

RowFile::~RowFile() {
  if (fd_ >= 0) close(fd_);
}

arrow::Result<RowFile> RowFile::Create(const std::string& path, size_t width) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return DiskError("create", path, errno);
  RowFile file(fd, path, width);
  if (unlink(path.c_str()) != 0) return DiskError("remove", path, errno);
  return file;
}

arrow::Result<RowFile> RowFile::CreateTemporary(size_t width) {
  ARROW_ASSIGN_OR_RAISE(std::string path, TemporaryRoot());
  path += "/pomona-rows-XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  const int error = errno;
  const std::string shown = path + " (TMPDIR can name a folder with more room)";
  if (fd < 0) return DiskError("create", shown, error);
  RowFile file(fd, shown, width);
  if (unlink(path.c_str()) != 0) return DiskError("remove", shown, errno);
  return file;
}

arrow::Status RowFile::Write(size_t first_row, std::span<const float> rows) const {
  auto bytes = std::as_bytes(rows);
  auto at = static_cast<off_t>(first_row * width_ * sizeof(float));
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return DiskError("write rows to", path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
    at += written;
  }
  return arrow::Status::OK();
}

RowFile::Reader::Reader(const RowFile& file)
    : file_(file), kept_(kKept, kNone), rows_(kKept * file.width_) {}

arrow::Result<const float*> RowFile::Reader::Read(uint32_t row) {
  // Neighbours of a tile come from all over the file: mixed, they seldom meet in one place.
  const size_t place = (row * uint32_t{2654435761U}) >> 23;
  static_assert(kKept == size_t{1} << 9);
  float* const kept = rows_.values().data() + place * file_.width_;
  if (kept_[place] == row) return kept;
  kept_[place] = kNone;
  auto bytes = std::as_writable_bytes(std::span(kept, file_.width_));
  auto at = static_cast<off_t>(row * file_.width_ * sizeof(float));
  while (!bytes.empty()) {
    const ssize_t read = pread(file_.fd_, bytes.data(), bytes.size(), at);
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) return DiskError("read rows from", file_.path_, read ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(read));
    at += read;
  }
  kept_[place] = row;
  return kept;
}

}  // namespace pomona::audit
