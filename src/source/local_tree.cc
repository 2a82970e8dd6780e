#include <arrow/util/io_util.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "pomona/location.h"
#include "pomona/source.h"
#include "sha256.h"
#include "tree.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// By so many paths links may lead to one folder. Without a bound, a dozen folders that link to each
// other have more paths than there is memory for.
constexpr int kMaxVisits = 100;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};

// Whether a failed call says something of the file that it was made for. All else (too many open
// files, no memory, a disk or a mount that fails) would hit any other file as well.
bool IsOfTheFile(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EACCES:
    case EPERM:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
    case ENXIO:
    case ENOKEY: return true;
    default: return false;
  }
}

// What errno makes of `path`: a Reject, or an error that ends the run.
arrow::Result<std::optional<Reject>> CannotRead(const char* what, const std::string& path) {
  const int error = errno;
  const std::string text = std::strerror(error);
  if (IsOfTheFile(error)) {
    // A link that leads nowhere is there all the same.
    struct stat info;
    const bool missing = (error == ENOENT || error == ENOTDIR) && lstat(path.c_str(), &info) != 0;
    return Reject{Stage::kRead, missing ? Reason::kMissing : Reason::kUnreadable,
                  std::string(what) + ": " + text};
  }
  const std::string message = std::string(what) + ' ' + path + ": " + text;
  const auto detail = arrow::internal::StatusDetailFromErrno(error);
  if (error == ENOMEM) return arrow::Status(arrow::StatusCode::OutOfMemory, message, detail);
  const char* cure = error == EMFILE   ? "; raise the limit (ulimit -n) or lower --threads"
                     : error == ENFILE ? "; the whole system has too many files open"
                                       : "; if only this file fails, leave it out with --exclude";
  return arrow::Status(arrow::StatusCode::IOError, message + cure, detail);
}

// Goes on reading until there are so many bytes, or fewer where the file shrank: what it still
// holds is judged by the decoder. false: errno says why it cannot be read.
bool ReadUpTo(size_t size, int fd, FileBytes* bytes) {
  size_t filled = bytes->size();
  bytes->resize(size);
  while (filled < size) {
    const ssize_t count = read(fd, bytes->data() + filled, size - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes->resize(filled);
  return true;
}

// Whether `path` is a folder; then *info is its.
bool IsFolder(const std::string& path, struct stat* info) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return false;
  *info = found;
  return true;
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Whether a folder's file system numbers its files for good. These do it anew at each mount, or in
// each image that is mounted.
bool InodesLast(const std::string& folder) {
  struct statfs info;
  if (statfs(folder.c_str(), &info) != 0) return false;
  constexpr int64_t kAnew[] = {MSDOS_SUPER_MAGIC,   EXFAT_SUPER_MAGIC, FUSE_SUPER_MAGIC,
                               ISOFS_SUPER_MAGIC,   UDF_SUPER_MAGIC,   SQUASHFS_MAGIC,
                               EROFS_SUPER_MAGIC_V1};
  return std::ranges::find(kAnew, int64_t{info.f_type}) == std::end(kAnew);
}

// Differs between two files of one size and time, and between two states of a file. Where inodes do
// not last, and ctime is often but the time of modification, another tree can have files like these:
// there a file is known by its whole path.
int64_t StateOf(const struct stat& info, bool inodes_last, std::string_view path) {
  Sha256 state;
  state.Add(Nanoseconds(info.st_ctim));
  return inodes_last ? state.Add(static_cast<int64_t>(info.st_ino)).Short()
                     : state.Add(path).Short();
}

using FolderId = std::pair<dev_t, ino_t>;

// The folders of a tree through which another file system is entered, by a mount or a link; the
// root is one.
//
// Threads: any number.
class Mounts {
 public:
  explicit Mounts(const std::string& root) : root_(root) {}

  void Add(const std::string& folder, const FolderId& id) {
    const std::lock_guard lock(mutex_);
    mounts_.emplace(folder, id);
  }

  // Errors: IOError where what was mounted on the way to `path` is gone; the files that went with it
  // are no rejects.
  arrow::Status Check(const std::string& path) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [folder, id] : mounts_) {
      if (!path.starts_with(folder) || (folder != "/" && path[folder.size()] != '/')) continue;
      const std::string name = (folder == root_ ? "INPUT " : "the folder ") + folder;
      struct stat info;
      if (stat(folder.c_str(), &info) != 0) {
        return arrow::Status::IOError(name, " cannot be read any more: ", std::strerror(errno));
      }
      if (info.st_dev == id.first && (info.st_ino == id.second || !InodesLast(folder))) continue;
      return arrow::Status::IOError(name,
                                    " is not the folder it was: it was unmounted or replaced");
    }
    return arrow::Status::OK();
  }

 private:
  const std::string& root_;
  mutable std::mutex mutex_;
  std::map<std::string, FolderId> mounts_;
};

// Walks through a tree in the order of its files' paths, holding the names of the folders on the
// way to where it is.
class Walk {
 public:
  // `root_size`: of the escaped root and the slash behind it.
  Walk(size_t root_size, PathFilter* filter, const TakeItems& take, Mounts* mounts)
      : root_size_(root_size), filter_(*filter), take_(take), mounts_(*mounts) {
    struct stat info;
    if (!filter->output.empty() && stat(filter->output.c_str(), &info) == 0) {
      output_ = {info.st_dev, info.st_ino};
    }
  }

  // Errors: see Source::List(); all folders are looked at before.
  arrow::Status Run(const std::string& root) {
    ARROW_RETURN_NOT_OK(Enter(root));
    if (wanted_ && failures_ == 0) take_(std::move(items_));
    if (failures_ == 0) return arrow::Status::OK();
    return arrow::Status::IOError(
        first_failure_, failures_ > 1 ? "; and " + std::to_string(failures_ - 1) + " more" : "",
        "; --exclude leaves out what is not wanted");
  }

 private:
  // What is in a folder. Sorts as the paths of the files below it do.
  struct Entry {
    std::string name;  // escaped; a folder's ends in a slash
    bool is_folder() const { return name.back() == '/'; }
    auto operator<=>(const Entry&) const = default;
  };

  void CannotList(const std::string& folder) {
    const std::string text = "cannot list the folder " + folder + ": " + std::strerror(errno);
    if (failures_++ == 0) first_failure_ = text;
  }

  // Hands over the items so far when they are many. `path`: escaped.
  void Add(std::string path, const struct stat& info, bool inodes_last) {
    constexpr size_t kItemsAtOnce = 1000;
    const int64_t state = StateOf(info, inodes_last, path);
    items_.push_back({std::move(path), static_cast<uint32_t>(root_size_), info.st_size,
                      Nanoseconds(info.st_mtim), state});
    if (items_.size() < kItemsAtOnce) return;
    // After a failure the run cannot succeed: the rest is walked through to find the others.
    if (failures_ > 0) items_.clear();
    wanted_ = take_(std::exchange(items_, {}));
  }

  // Goes through a folder and those below it.
  arrow::Status Enter(const std::string& folder) {
    std::unique_ptr<DIR, DirectoryCloser> directory(opendir(folder.c_str()));
    struct stat info = {};
    if (!directory || fstat(dirfd(directory.get()), &info) != 0) {
      // What went away while we looked is accounted for as a file that cannot be read. It keeps the
      // slash, by which it has its place in the order.
      if (!ancestors_.empty() && (errno == ENOENT || errno == ENOTDIR)) {
        Add(EscapeName(folder) + '/', info, true);
      } else {
        CannotList(folder);
      }
      return arrow::Status::OK();
    }
    const FolderId id{info.st_dev, info.st_ino};
    if (std::ranges::find(ancestors_, id) != ancestors_.end()) return arrow::Status::OK();
    if (!ancestors_.empty() && ancestors_.back().first != id.first) mounts_.Add(folder, id);
    if (++visits_[id] > kMaxVisits) {
      return arrow::Status::IOError(folder, ": links lead to this folder by more than ", kMaxVisits,
                                    " paths");
    }
    const std::string prefix = folder == "/" ? folder : folder + '/';
    const std::string escaped_prefix = EscapeName(prefix);
    std::vector<Entry> entries = Entries(directory.get(), folder, escaped_prefix);
    directory.reset();  // trees may be deeper than a process may open files
    std::ranges::sort(entries);

    const bool inodes_last = InodesLast(folder);
    ancestors_.push_back(id);
    for (const Entry& entry : entries) {
      if (!wanted_) break;
      if (entry.is_folder()) {
        const auto name = std::string_view(entry.name).substr(0, entry.name.size() - 1);
        ARROW_RETURN_NOT_OK(Enter(prefix + UnescapeName(name)));
      } else {
        // A link that leads nowhere is listed as itself; reading it will say what is wrong. What is
        // gone since its name was read is listed all the same, so that it is accounted for.
        const std::string path = prefix + UnescapeName(entry.name);
        if (stat(path.c_str(), &info) != 0 && lstat(path.c_str(), &info) != 0) {
          if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG) {
            CannotList(folder);
            break;
          }
          info = {};
        }
        Add(escaped_prefix + entry.name, info, inodes_last);
      }
    }
    ancestors_.pop_back();
    return arrow::Status::OK();
  }

  // What the filter takes of a folder, in no order.
  std::vector<Entry> Entries(DIR* directory, const std::string& folder,
                             const std::string& escaped_prefix) {
    std::vector<Entry> entries;
    errno = 0;
    while (const dirent* found = readdir(directory)) {
      const std::string_view name = found->d_name;
      if (name == "." || name == "..") continue;
      struct stat info = {};
      // Only of what may be a folder, or the output.
      if (found->d_type != DT_REG && fstatat(dirfd(directory), found->d_name, &info, 0) != 0 &&
          fstatat(dirfd(directory), found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) break;  // what cannot be looked at may be a folder
        info = {};
      }
      std::string escaped = EscapeName(name);
      const std::string path = escaped_prefix + escaped;
      const auto relative = std::string_view(path).substr(root_size_);
      if (S_ISDIR(info.st_mode)) {
        if (FolderId(info.st_dev, info.st_ino) != output_ && filter_.EntersFolder(relative)) {
          entries.push_back({std::move(escaped += '/')});
        }
      } else if (filter_.TakesFile(relative)) {
        entries.push_back({std::move(escaped)});
      }
      errno = 0;
    }
    if (errno != 0) CannotList(folder);
    return entries;
  }

  const size_t root_size_;
  PathFilter& filter_;
  const TakeItems& take_;
  Mounts& mounts_;
  std::optional<FolderId> output_;  // which is not entered
  std::vector<Item> items_;         // not handed over yet
  bool wanted_ = true;              // whether more are
  size_t failures_ = 0;             // of single folders
  std::string first_failure_;
  std::vector<FolderId> ancestors_;  // of the folder that is being listed
  std::map<FolderId, int> visits_;
};

class LocalTree : public Source {
 public:
  LocalTree(std::string root, FolderId id, std::string input)
      : root_(std::move(root)), input_(std::move(input)) {
    mounts_.Add(root_, id);
  }

  const std::string& root() const override { return root_; }

  std::vector<std::string> PassedOver() const override {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, DirectoryCloser> directory(
        input_ == root_ ? nullptr : opendir(input_.c_str()));
    while (const dirent* found = directory ? readdir(directory.get()) : nullptr) {
      const std::string name = found->d_name;
      struct stat info;
      if (name == "." || name == ".." || name == kTrainingFolder || IsHidden(name)) continue;
      if (found->d_type != DT_REG && IsFolder(input_ + '/' + name, &info)) names.push_back(name);
    }
    return names;
  }

  arrow::Status List(PathFilter* filter, const TakeItems& take) override {
    return Walk(root_ == "/" ? 1 : EscapeName(root_).size() + 1, filter, take, &mounts_).Run(root_);
  }

  arrow::Result<std::optional<Reject>> Read(const Item& item, FileBytes* bytes) override {
    const std::string path = UnescapeName(item.path);
    ARROW_ASSIGN_OR_RAISE(auto reject, ReadLocalFile(path, bytes));
    const bool is_lost =
        reject && (reject->reason == Reason::kMissing || reject->reason == Reason::kUnreadable);
    if (is_lost) ARROW_RETURN_NOT_OK(mounts_.Check(path));
    return reject;
  }

 private:
  const std::string root_;
  const std::string input_;  // root_, or the folder above it
  Mounts mounts_{root_};
};

}  // namespace

arrow::Result<std::optional<Reject>> ReadLocalFile(const std::string& path, FileBytes* bytes) {
  // Opening a device may do something, and without O_NONBLOCK a FIFO would wait for its writer.
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return CannotRead("cannot open", path);
  if (!S_ISREG(info.st_mode)) {
    return Reject{Stage::kRead, Reason::kUnreadable, "not a regular file"};
  }
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0 || fstat(file.get(), &info) != 0) return CannotRead("cannot open", path);
  if (!S_ISREG(info.st_mode)) {
    return Reject{Stage::kRead, Reason::kUnreadable, "not a regular file"};
  }
  const auto size = static_cast<size_t>(info.st_size);
  bytes->clear();
  if (!ReadUpTo(std::min(size, kSniffBytes), file.get(), bytes)) {
    return CannotRead("cannot read", path);
  }
  if (auto reject = CheckFileSize(info.st_size, path, *bytes)) return reject;
  if (bytes->size() < kSniffBytes || !WantsRest(*bytes)) return std::nullopt;
  if (!ReadUpTo(size, file.get(), bytes)) return CannotRead("cannot read", path);
  return std::nullopt;
}

arrow::Result<std::unique_ptr<Source>> OpenLocalTree(const std::string& root) {
  using arrow::internal::IOErrorFromErrno;
  ARROW_ASSIGN_OR_RAISE(std::string path, LocalPath(root));
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    const int number = errno;
    return IOErrorFromErrno(number, "INPUT ", path, ": ", std::strerror(number));
  }
  if (!S_ISDIR(info.st_mode)) {
    return IOErrorFromErrno(ENOTDIR, "INPUT ", path, ": not a folder");
  }
  const std::string training = path + "/" + kTrainingFolder;
  const std::string tree = IsFolder(training, &info) ? training : path;
  return std::make_unique<LocalTree>(tree, FolderId{info.st_dev, info.st_ino}, path);
}

}  // namespace pomona
