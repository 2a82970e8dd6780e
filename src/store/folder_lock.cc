#include "folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <vector>

#include "disk.h"
#include "machine.h"
#include "refusal.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockName = "lock";
constexpr const char* kOwnerPrefix = "owner@";

// When a process was started, in ticks since boot; empty where there is none.
std::string StartOf(const std::string& pid) {
  std::ifstream stat("/proc/" + pid + "/stat");
  std::string line;
  std::getline(stat, line);
  // Field 22, after the command's name in parentheses, which may hold spaces.
  size_t at = line.rfind(')');
  for (int field = 2; at != std::string::npos && field < 22; ++field) at = line.find(' ', at + 1);
  return at == std::string::npos ? "" : line.substr(at + 1, line.find(' ', at + 1) - at - 1);
}

// A process, told from every other that ever was.
struct Owner {
  std::string host, boot, pid, start;

  static Owner Self() {
    const std::string pid = std::to_string(getpid());
    const auto [host, boot] = Machine::This();
    return {host, boot, pid, StartOf(pid)};
  }

  static Owner OfFile(const std::string& name) {
    std::vector<std::string> words;
    for (size_t at = 0; at != std::string::npos;) {
      const size_t end = name.find('@', at);
      words.push_back(name.substr(at, end == std::string::npos ? end : end - at));
      at = end == std::string::npos ? end : end + 1;
    }
    words.resize(5);
    return {words[1], words[2], words[3], words[4]};
  }

  std::string FileName() const {
    return kOwnerPrefix + host + '@' + boot + '@' + pid + '@' + start;
  }

  // Nobody here can tell whether a process of another host lives; it counts as alive.
  bool IsAlive(const Owner& self) const {
    if (host != self.host) return true;
    return boot == self.boot && StartOf(pid) == start;
  }
};

arrow::Status Busy(const std::string& folder, const std::string& advice) {
  return Refuse(
      RunRefusal::kOutputBusy,
      "another run is writing to " + fs::path(folder).parent_path().string() + "; " + advice);
}

}  // namespace

arrow::Result<std::unique_ptr<FolderLock>> FolderLock::Take(const std::string& folder) {
  std::unique_ptr<FolderLock> lock(new FolderLock(folder));
  bool supported = true;
  ARROW_RETURN_NOT_OK(lock->TakeByFlock(LOCK_EX, &supported));
  if (!supported) ARROW_RETURN_NOT_OK(lock->TakeByOwnerFile());
  return lock;
}

arrow::Result<std::unique_ptr<FolderLock>> FolderLock::Share(const std::string& folder) {
  std::unique_ptr<FolderLock> lock(new FolderLock(folder));
  bool supported = true;
  ARROW_RETURN_NOT_OK(lock->TakeByFlock(LOCK_SH, &supported));
  return lock;
}

arrow::Status FolderLock::TakeByFlock(int how, bool* supported) {
  const std::string path = folder_ + "/" + kLockName;
  while (true) {
    ARROW_RETURN_NOT_OK(MakeFolders(folder_));
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno == ENOENT) continue;  // its holder removed the folder at this very moment
    if (fd_ < 0) return DiskError("create", path, errno);
    int error = 0;
    if (flock(fd_, how | LOCK_NB) != 0) error = errno;
    // A lock on a file that is no longer there keeps nobody out.
    struct stat held, named;
    if (error == 0 && fstat(fd_, &held) == 0 && stat(path.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev) {
      return arrow::Status::OK();
    }
    close(fd_);
    fd_ = -1;
    switch (error) {
      case 0:
      case EINTR: continue;
      case EWOULDBLOCK: return Busy(folder_, "wait until it has ended");
      case EINVAL:
      case ENOLCK:
      case ENOSYS:
      case EOPNOTSUPP: *supported = false; return arrow::Status::OK();
      default: return DiskError("lock", path, error);
    }
  }
}

// Everybody first enters and then looks around, so of two that come at once at least one sees the
// other and leaves.
arrow::Status FolderLock::TakeByOwnerFile() {
  const Owner self = Owner::Self();
  const std::string path = folder_ + "/" + self.FileName();
  int fd;
  do {
    ARROW_RETURN_NOT_OK(MakeFolders(folder_));
    fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == ENOENT);
  if (fd < 0 && errno == EEXIST) return Busy(folder_, "it is this process");
  if (fd < 0) return DiskError("create", path, errno);
  close(fd);
  owner_ = path;

  std::error_code error;
  std::vector<std::string> others;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.starts_with(kOwnerPrefix) && name != self.FileName()) others.push_back(name);
  }
  if (error) return DiskError("list", folder_, error.value());
  for (const std::string& name : others) {
    const Owner other = Owner::OfFile(name);
    if (!other.IsAlive(self)) continue;
    return Busy(folder_, "process " + other.pid + " on " + other.host +
                             " holds it; if it is dead, remove " + folder_ + "/" + name);
  }
  for (const std::string& name : others) unlink((folder_ + "/" + name).c_str());
  return arrow::Status::OK();
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) close(fd_);
  if (!owner_.empty()) unlink(owner_.c_str());
}

void FolderLock::RemoveFolder() {
  unlink((folder_ + "/" + kLockName).c_str());
  if (!owner_.empty()) unlink(owner_.c_str());
  owner_.clear();
  rmdir(folder_.c_str());
}

}  // namespace pomona
