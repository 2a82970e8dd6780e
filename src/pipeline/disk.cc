#include "disk.h"

#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace pomona {
namespace {

namespace fs = std::filesystem;

}  // namespace

arrow::Status DiskError(std::string_view what, const std::string& path, int error) {
  return {arrow::StatusCode::IOError,
          "cannot " + std::string(what) + ' ' + path + ": " + std::strerror(error),
          arrow::internal::StatusDetailFromErrno(error)};
}

arrow::Result<bool> Exists(const std::string& path) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return DiskError("look at", path, errno);
}

arrow::Status MakeFolders(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0) return SyncFolder(fs::path(path).parent_path());
  if (errno == EEXIST) {
    std::error_code error;
    return fs::is_directory(path, error) ? arrow::Status::OK()
                                         : DiskError("create the folder", path, ENOTDIR);
  }
  if (errno != ENOENT) return DiskError("create the folder", path, errno);
  ARROW_RETURN_NOT_OK(MakeFolders(fs::path(path).parent_path()));
  return MakeFolders(path);
}

arrow::Status RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? DiskError("remove", path, error.value()) : arrow::Status::OK();
}

arrow::Status SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return DiskError("open", path, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  // Some file systems cannot flush a folder, and need not be told to.
  return error == 0 || error == EINVAL ? arrow::Status::OK() : DiskError("flush", path, error);
}

OutputFile::OutputFile(int fd, std::string path, std::string* sha256)
    : fd_(fd), path_(std::move(path)), result_(sha256) {}

OutputFile::~OutputFile() {
  if (fd_ >= 0) close(fd_);
}

arrow::Result<std::shared_ptr<OutputFile>> OutputFile::Create(const std::string& path,
                                                              std::string* sha256) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return DiskError("create", path, errno);
  return std::shared_ptr<OutputFile>(new OutputFile(fd, path, sha256));
}

arrow::Status OutputFile::Write(const void* data, int64_t size) {
  std::span<const uint8_t> bytes(static_cast<const uint8_t*>(data), static_cast<size_t>(size));
  if (result_) sha256_.Add(bytes);
  while (!bytes.empty()) {
    const ssize_t count = write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return DiskError("write", path_, errno);
    bytes = bytes.subspan(count);
  }
  written_ += size;
  return arrow::Status::OK();
}

arrow::Status OutputFile::Close() {
  if (fd_ < 0) return arrow::Status::OK();
  int error = fsync(fd_) == 0 ? 0 : errno;
  if (close(fd_) != 0 && error == 0) error = errno;
  fd_ = -1;
  if (error) return DiskError("flush", path_, error);
  if (result_) *result_ = sha256_.Hex();
  return arrow::Status::OK();
}

}  // namespace pomona
