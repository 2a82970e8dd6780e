#include "disk.h"

#include <arrow/util/io_util.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <span>

#include "machine.h"

namespace pomona {

namespace fs = std::filesystem;

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

arrow::Status CheckFolders(const std::string& root, const std::string& below) {
  std::string path = root;
  for (const fs::path& name : fs::path(below)) {
    path += '/' + name.string();
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) {
      const bool missing = errno == ENOENT || errno == ENOTDIR;
      return missing ? arrow::Status::OK() : DiskError("look at", path, errno);
    }
    if (!S_ISDIR(info.st_mode)) {
      return arrow::Status::Invalid(path, " is ", S_ISLNK(info.st_mode) ? "a link" : "no folder",
                                    "; what lies in an output has to be a folder itself");
    }
  }
  return arrow::Status::OK();
}

arrow::Status MakeFolders(const std::string& path) {
  int error = mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
  const fs::path above = fs::path(path).parent_path();
  if (error == ENOENT && above != path) {
    ARROW_RETURN_NOT_OK(MakeFolders(above));
    // Once more and no more: where nothing can be made (/proc), the answer stays the same.
    error = mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
  }
  if (error == 0) return SyncFolder(above);
  std::error_code ignored;
  if (error == EEXIST && fs::is_directory(path, ignored)) return arrow::Status::OK();
  return DiskError("create the folder", path, error == EEXIST ? ENOTDIR : error);
}

arrow::Status RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? DiskError("remove", path, error.value()) : arrow::Status::OK();
}

arrow::Result<std::vector<std::string>> FilesBelow(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) return files;
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    if (entry->is_regular_file()) files.push_back(entry->path().lexically_relative(folder));
  }
  if (error) return DiskError("list", folder, error.value());
  return files;
}

namespace {

// A descriptor of the folder by which it is locked; below 0: the error. Somebody else's folder,
// which he may have put there for us to remove what lies below it, is not locked.
int LockFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct stat info;
  int error = fstat(fd, &info) == 0 ? 0 : errno;
  if (error == 0 && info.st_uid != geteuid()) error = EPERM;
  if (error == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) error = errno;
  if (error == 0) return fd;
  close(fd);
  return -error;
}

// Removes the folders of these names that no process holds any more.
void RemoveLeft(const std::string& above, const std::string& prefix) {
  std::error_code error;
  for (fs::directory_iterator entry(above, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path& path = entry->path();
    // As mkdtemp() makes them, and hardly anybody else.
    const std::string name = path.filename();
    if (!name.starts_with(prefix) || name.size() != prefix.size() + 6) continue;
    if (entry->symlink_status(error).permissions() != fs::perms::owner_all) continue;
    const int lock = LockFolder(path);
    if (lock < 0) continue;
    (void)RemoveAll(path);
    close(lock);
  }
}

}  // namespace

arrow::Result<std::string> TemporaryRoot() {
  std::error_code error;
  std::string folder = fs::temp_directory_path(error);
  if (error) return arrow::Status::IOError("there is no folder for temporary files: set TMPDIR");
  return folder;
}

arrow::Result<ScratchFolder> ScratchFolder::Make(const std::string& above) {
  // Where machines share the folder above, a lock may be known to one of them only.
  const std::string prefix = "pomona-" + Machine::This().host + '-';
  RemoveLeft(above, prefix);
  while (true) {
    std::string path = fs::path(above) / (prefix + "XXXXXX");
    if (mkdtemp(path.data()) == nullptr) return DiskError("create a folder in", above, errno);
    const int lock = LockFolder(path);
    ScratchFolder folder(path, std::max(lock, -1));
    // Another process may have found it before it was locked.
    ARROW_ASSIGN_OR_RAISE(const bool there, Exists(path));
    if (there && lock != -EWOULDBLOCK) return folder;
  }
}

ScratchFolder::~ScratchFolder() {
  if (!path_.empty()) (void)RemoveAll(path_);
  if (lock_ >= 0) close(lock_);
}

arrow::Status SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return DiskError("open", path, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  // What file systems say that have no such call (CIFS, vboxsf, some of FUSE).
  const bool unknown = error == EINVAL || error == ENOTSUP || error == ENOSYS;
  return error == 0 || unknown ? arrow::Status::OK() : DiskError("flush", path, error);
}

arrow::Result<int> OpenRegularFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return DiskError("open", path, errno);
  struct stat info;
  if (fstat(fd, &info) != 0) info.st_mode = 0;
  if (S_ISREG(info.st_mode)) return fd;
  close(fd);
  return arrow::Status::Invalid(
      path, S_ISDIR(info.st_mode) ? ": is a folder, not a file" : ": is no regular file");
}

OutputFile::OutputFile(int fd, std::string path, std::string* sha256)
    : fd_(fd), path_(std::move(path)), result_(sha256) {}

OutputFile::~OutputFile() {
  if (fd_ >= 0) close(fd_);
}

arrow::Result<std::shared_ptr<OutputFile>> OutputFile::Create(const std::string& path,
                                                              std::string* sha256) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
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

namespace {

// Beside a file that is to be replaced.
std::string TemporaryName(const std::string& path) {
  // Other machines may write to the same folder, and processes there have the same numbers.
  static const std::string process = std::to_string(std::random_device()());
  static std::atomic<unsigned> counter = 0;
  return path + ".tmp" + std::to_string(getpid()) + '.' + process + '.' + std::to_string(counter++);
}

arrow::Result<std::shared_ptr<OutputFile>> CreateBeside(const std::string& path,
                                                        const std::string& temporary) {
  struct stat info;
  if (lstat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return arrow::Status::IOError("cannot write ", path, ": it is ",
                                  S_ISLNK(info.st_mode) ? "a link" : "no regular file",
                                  "; only regular files are replaced");
  }
  auto created = OutputFile::Create(temporary);
  if (created.ok()) return created;
  return DiskError("create", path, arrow::internal::ErrnoFromStatus(created.status()));
}

}  // namespace

arrow::Status CheckReplaceable(const std::string& path) {
  const std::string temporary = TemporaryName(path);
  ARROW_RETURN_NOT_OK(CreateBeside(path, temporary));
  unlink(temporary.c_str());
  return arrow::Status::OK();
}

arrow::Status ReplaceFile(const std::string& path,
                          const std::function<arrow::Status(OutputFile&)>& write) {
  const std::string temporary = TemporaryName(path);
  ARROW_ASSIGN_OR_RAISE(const auto file, CreateBeside(path, temporary));
  const auto fill = [&]() -> arrow::Status {
    ARROW_RETURN_NOT_OK(write(*file));
    ARROW_RETURN_NOT_OK(file->Close());
    const bool renamed = rename(temporary.c_str(), path.c_str()) == 0;
    return renamed ? arrow::Status::OK() : DiskError("rename", path, errno);
  };
  const arrow::Status status = fill();
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  const fs::path folder = fs::path(path).parent_path();
  return SyncFolder(folder.empty() ? "." : folder);
}

}  // namespace pomona
