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
#include <map>
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
    return Reject{Stage::kRead, Reason::kUnreadable, std::string(what) + ": " + text};
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

// Whether a folder's file system numbers its files for good. These do it anew at each mount.
bool InodesLast(const std::string& folder) {
  struct statfs info;
  if (statfs(folder.c_str(), &info) != 0) return false;
  return info.f_type != MSDOS_SUPER_MAGIC && info.f_type != EXFAT_SUPER_MAGIC &&
         info.f_type != FUSE_SUPER_MAGIC;
}

class LocalTree : public Source {
 public:
  using FolderId = std::pair<dev_t, ino_t>;

  LocalTree(std::string root, FolderId id) : root_(std::move(root)), id_(id) {}

  arrow::Status List(PathFilter* filter, const TakeItems& take) override {
    Listing listing;
    listing.filter = filter;
    listing.root_size = root_ == "/" ? 1 : EscapeName(root_).size() + 1;
    struct stat info;
    if (!filter->output.empty() && stat(filter->output.c_str(), &info) == 0) {
      listing.output = {info.st_dev, info.st_ino};
    }
    ARROW_RETURN_NOT_OK(ListFolder(root_, &listing));
    if (!listing.failures.empty()) {
      const std::string& first = *std::ranges::min_element(listing.failures);
      const size_t others = listing.failures.size() - 1;
      return arrow::Status::IOError(first,
                                    others > 0 ? "; and " + std::to_string(others) + " more" : "",
                                    "; --exclude leaves out what is not wanted");
    }
    std::ranges::sort(listing.items, {}, &Item::path);
    take(std::move(listing.items));
    return arrow::Status::OK();
  }

  arrow::Result<std::optional<Reject>> Read(const Item& item, FileBytes* bytes) override {
    ARROW_ASSIGN_OR_RAISE(auto reject, ReadLocalFile(UnescapeName(item.path), bytes));
    if (reject && reject->reason == Reason::kUnreadable) ARROW_RETURN_NOT_OK(CheckRoot());
    return reject;
  }

 private:
  // Files that are gone together with the root, or with what was mounted there, are no rejects.
  arrow::Status CheckRoot() const {
    struct stat info;
    if (stat(root_.c_str(), &info) != 0) {
      return arrow::Status::IOError("INPUT ", root_,
                                    " cannot be read any more: ", std::strerror(errno));
    }
    const bool is_it = info.st_ino == id_.second || !InodesLast(root_);
    if (info.st_dev == id_.first && is_it) return arrow::Status::OK();
    return arrow::Status::IOError("INPUT ", root_,
                                  " is not the folder it was: it was unmounted or replaced");
  }

  struct Listing {
    PathFilter* filter = nullptr;
    size_t root_size = 0;
    std::optional<FolderId> output;  // which is not entered
    std::vector<Item> items;
    std::vector<std::string> failures;  // of single folders
    std::vector<FolderId> ancestors;    // of the folder that is being listed
    std::map<FolderId, int> visits;

    // `path`: escaped.
    void Add(std::string path, const struct stat& info, bool inodes_last = true) {
      const int64_t inode = inodes_last ? static_cast<int64_t>(info.st_ino) : 0;
      items.push_back({std::move(path), static_cast<uint32_t>(root_size), info.st_size,
                       Nanoseconds(info.st_mtim),
                       Sha256().Add(Nanoseconds(info.st_ctim)).Add(inode).Short()});
    }
  };

  // Appends the files below `folder`, in no order.
  static arrow::Status ListFolder(const std::string& folder, Listing* listing) {
    std::unique_ptr<DIR, DirectoryCloser> directory(opendir(folder.c_str()));
    struct stat info = {};
    if (!directory || fstat(dirfd(directory.get()), &info) != 0) {
      // What went away while we looked is accounted for as a file that cannot be read.
      if (!listing->ancestors.empty() && (errno == ENOENT || errno == ENOTDIR)) {
        listing->Add(EscapeName(folder), info);
      } else {
        listing->failures.push_back("cannot list the folder " + folder + ": " +
                                    std::strerror(errno));
      }
      return arrow::Status::OK();
    }
    const FolderId id{info.st_dev, info.st_ino};
    if (std::ranges::find(listing->ancestors, id) != listing->ancestors.end()) {
      return arrow::Status::OK();
    }
    if (++listing->visits[id] > kMaxVisits) {
      return arrow::Status::IOError(folder, ": links lead to this folder by more than ", kMaxVisits,
                                    " paths");
    }

    const bool inodes_last = InodesLast(folder);
    std::vector<std::string> folders;
    errno = 0;
    while (const dirent* entry = readdir(directory.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      std::string path;
      path.reserve(folder.size() + 1 + name.size());  // no more: there may be a million of them
      path.append(folder).append(folder == "/" ? "" : "/").append(name);
      // A link that leads nowhere is listed as itself; reading it will say what is wrong.
      info = {};
      if (fstatat(dirfd(directory.get()), entry->d_name, &info, 0) != 0 &&
          fstatat(dirfd(directory.get()), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) break;  // what cannot be looked at may be a folder
        info = {};  // gone since readdir(): listed all the same, so that it is accounted for
      }
      std::string escaped = EscapeName(path);
      const auto relative = std::string_view(escaped).substr(listing->root_size);
      if (S_ISDIR(info.st_mode)) {
        if (FolderId(info.st_dev, info.st_ino) != listing->output &&
            listing->filter->EntersFolder(relative)) {
          folders.push_back(std::move(path));
        }
      } else if (listing->filter->TakesFile(relative)) {
        listing->Add(std::move(escaped), info, inodes_last);
      }
      errno = 0;
    }
    if (errno != 0) {
      listing->failures.push_back("cannot list the folder " + folder + ": " + std::strerror(errno));
    }
    directory.reset();  // trees may be deeper than a process may open files

    listing->ancestors.push_back(id);
    for (const std::string& path : folders) ARROW_RETURN_NOT_OK(ListFolder(path, listing));
    listing->ancestors.pop_back();
    return arrow::Status::OK();
  }

  const std::string root_;
  const FolderId id_;
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
  if (IsFolder(training, &info)) path = training;
  return std::make_unique<LocalTree>(path, LocalTree::FolderId{info.st_dev, info.st_ino});
}

}  // namespace pomona
