#include <arrow/util/uri.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "pomona/source.h"

namespace pomona {
namespace {

// A file that claims to be larger is no picture; reading it would only fill the memory.
constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

constexpr const char* kTrainingFolder = "Training";

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

Reject Unreadable(const std::string& what) {
  return {Stage::kRead, Reason::kUnreadable, what + ": " + std::strerror(errno)};
}

bool IsFolder(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

class LocalTree : public Source {
 public:
  explicit LocalTree(std::string root) : root_(std::move(root)) {}

  arrow::Result<std::vector<Item>> List() override {
    std::vector<Item> items;
    std::vector<FolderId> ancestors;
    ARROW_RETURN_NOT_OK(ListFolder(root_, &ancestors, &items));
    std::sort(items.begin(), items.end(),
              [](const Item& a, const Item& b) { return a.path < b.path; });
    return items;
  }

  std::optional<Reject> Read(const Item& item, FileBytes* bytes) override {
    return ReadLocalFile(UnescapeName(item.path), bytes);
  }

 private:
  using FolderId = std::pair<dev_t, ino_t>;

  // Appends the files below `folder`, in no order. `ancestors`: the folders above it.
  arrow::Status ListFolder(const std::string& folder, std::vector<FolderId>* ancestors,
                           std::vector<Item>* items) {
    const std::unique_ptr<DIR, DirectoryCloser> directory(opendir(folder.c_str()));
    struct stat info;
    if (!directory || fstat(dirfd(directory.get()), &info) != 0) {
      return arrow::Status::IOError("cannot list the folder ", folder, ": ", std::strerror(errno));
    }
    const FolderId id{info.st_dev, info.st_ino};
    if (std::find(ancestors->begin(), ancestors->end(), id) != ancestors->end()) {
      return arrow::Status::OK();
    }
    ancestors->push_back(id);

    errno = 0;
    while (const dirent* entry = readdir(directory.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      std::string path;
      path.reserve(folder.size() + 1 + name.size());  // no more: there may be a million of them
      path.append(folder).append(folder == "/" ? "" : "/").append(name);
      // A link that leads nowhere is listed as itself; reading it will say what is wrong.
      if (fstatat(dirfd(directory.get()), entry->d_name, &info, 0) != 0 &&
          fstatat(dirfd(directory.get()), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) {
          return arrow::Status::IOError("cannot look at ", path, ": ", std::strerror(errno));
        }
        info = {};  // gone since readdir(): listed all the same, so that it is accounted for
      }
      if (S_ISDIR(info.st_mode)) {
        ARROW_RETURN_NOT_OK(ListFolder(path, ancestors, items));
      } else {
        items->push_back({EscapeName(path), static_cast<uint32_t>(RootSize()), info.st_size,
                          int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec});
      }
      errno = 0;
    }
    if (errno != 0) {
      return arrow::Status::IOError("cannot list the folder ", folder, ": ", std::strerror(errno));
    }
    ancestors->pop_back();
    return arrow::Status::OK();
  }

  size_t RootSize() const { return root_ == "/" ? 1 : EscapeName(root_).size() + 1; }

  std::string root_;
};

}  // namespace

std::optional<Reject> ReadLocalFile(const std::string& path, FileBytes* bytes) {
  // Without O_NONBLOCK, opening a FIFO would wait for its writer.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return Unreadable("cannot open");
  struct stat info;
  if (fstat(file.get(), &info) != 0) return Unreadable("cannot open");
  if (!S_ISREG(info.st_mode)) {
    return Reject{Stage::kRead, Reason::kUnreadable, "not a regular file"};
  }
  if (info.st_size > kMaxFileBytes) {
    return Reject{
        Stage::kRead, Reason::kTooLarge,
        std::to_string(info.st_size) + " bytes; the limit is " + std::to_string(kMaxFileBytes)};
  }
  bytes->resize(static_cast<size_t>(info.st_size));
  size_t filled = 0;
  while (filled < bytes->size()) {
    const ssize_t count = read(file.get(), bytes->data() + filled, bytes->size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Unreadable("cannot read");
    if (count == 0) break;  // the file shrank; what it still holds is judged by the decoder
    filled += static_cast<size_t>(count);
  }
  bytes->resize(filled);
  return std::nullopt;
}

arrow::Result<std::string> LocalPath(const std::string& path_or_uri) {
  std::string path = path_or_uri;
  if (path.empty()) return arrow::Status::Invalid("an empty path names no folder");
  if (const size_t colon = path.find("://"); colon != std::string::npos) {
    const std::string scheme = path.substr(0, colon);
    if (scheme != "file") {
      return arrow::Status::NotImplemented(path, ": only local folders can be read and written (",
                                           scheme, ":// cannot)");
    }
    arrow::util::Uri uri;
    ARROW_RETURN_NOT_OK(uri.Parse(path));
    path = uri.path();
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return arrow::Status::IOError(path, ": ", error.message());
  std::string normal = absolute.lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal;
}

arrow::Result<std::unique_ptr<Source>> OpenLocalTree(const std::string& root) {
  ARROW_ASSIGN_OR_RAISE(std::string path, LocalPath(root));
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return arrow::Status::Invalid("INPUT ", path, ": ", std::strerror(errno));
  }
  if (!S_ISDIR(info.st_mode)) return arrow::Status::Invalid("INPUT ", path, ": not a folder");
  const std::string training = path + "/" + kTrainingFolder;
  return std::make_unique<LocalTree>(IsFolder(training) ? training : path);
}

}  // namespace pomona
