#include "object_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "disk.h"
#include "sha256.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// Of name and content, behind it: a writer that was killed, or a disk, may have damaged it.
constexpr size_t kDigestBytes = SHA256_DIGEST_SIZE;

// What is being written; of a writer that is gone, if it is so old.
constexpr std::string_view kTemporary = "writing-";
constexpr std::chrono::hours kForgotten{1};

// Entries are counted when a sixteenth of the space was written since, and removed until a tenth
// of it is free, so that neither is done often.
constexpr int64_t kTrimEvery = 16;

void Digest(std::string_view name, std::span<const uint8_t> bytes, uint8_t* digest) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, name.size(), reinterpret_cast<const uint8_t*>(name.data()));
  sha256_update(&context, bytes.size(), bytes.data());
  sha256_digest(&context, kDigestBytes, digest);
}

arrow::Status WriteAll(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return DiskError("write", "", errno);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return arrow::Status::OK();
}

bool ReadAll(int fd, std::span<uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = read(fd, bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return true;
}

// An entry's file.
class Reading {
 public:
  explicit Reading(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Reading() {
    if (fd_ >= 0) close(fd_);
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  bool opened() const { return fd_ >= 0; }

  bool Get(std::string_view name, int64_t most_bytes, FileBytes* bytes) const {
    struct stat info;
    if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if (info.st_size < static_cast<off_t>(kDigestBytes) || info.st_size > most_bytes) return false;
    bytes->resize(static_cast<size_t>(info.st_size));
    if (!ReadAll(fd_, *bytes)) return false;
    const size_t size = bytes->size() - kDigestBytes;
    uint8_t digest[kDigestBytes];
    Digest(name, std::span(*bytes).first(size), digest);
    if (!std::equal(digest, digest + kDigestBytes, bytes->begin() + static_cast<ptrdiff_t>(size))) {
      return false;
    }
    bytes->resize(size);
    // It was used now.
    (void)futimens(fd_, nullptr);
    return true;
  }

 private:
  const int fd_;
};

}  // namespace

arrow::Result<std::unique_ptr<ObjectCache>> ObjectCache::Open(const std::string& folder,
                                                              int64_t most_bytes) {
  // Everything in a folder of its own is an entry; what else lies in the user's is not touched.
  const std::string own = folder + "/pomona-objects";
  ARROW_RETURN_NOT_OK(MakeFolders(own));
  if (access(own.c_str(), W_OK | X_OK) != 0) return DiskError("write in", own, errno);
  return std::unique_ptr<ObjectCache>(new ObjectCache(own, most_bytes));
}

std::string ObjectCache::Name(std::string_view server, const std::string& uri, int64_t state,
                              int64_t size) {
  return Sha256().Add(server).Add(uri).Add(state).Add(size).Hex();
}

std::string ObjectCache::Path(const std::string& name) const {
  return folder_ + '/' + name.substr(0, 2) + '/' + name.substr(2);
}

bool ObjectCache::Get(const std::string& name, FileBytes* bytes) const {
  const std::string path = Path(name);
  const Reading entry(path);
  if (!entry.opened()) return false;
  if (entry.Get(name, most_bytes_ / kTrimEvery, bytes)) return true;
  unlink(path.c_str());
  return false;
}

void ObjectCache::Put(const std::string& name, std::span<const uint8_t> bytes) {
  const auto size = static_cast<int64_t>(bytes.size() + kDigestBytes);
  if (gave_up_ || size > most_bytes_ / kTrimEvery) return;
  while ((to_trim_ -= size) < 0) {
    to_trim_ += size;
    Trim(size);
  }
  writing_ += size;
  // A full disk does not become empty while a run goes on.
  if (!Write(name, bytes).ok()) gave_up_ = true;
  writing_ -= size;
}

// The entry appears whole. It may be lost or damaged when the power fails.
arrow::Status ObjectCache::Write(const std::string& name, std::span<const uint8_t> bytes) {
  const std::string path = Path(name);
  // Nobody else's: processes on other machines, and in other containers, may have our number.
  std::random_device random;
  const std::string temporary = folder_ + '/' + std::string(kTemporary) + std::to_string(random()) +
                                '-' + std::to_string(random());
  const int fd =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd < 0) return DiskError("write", temporary, errno);
  uint8_t digest[kDigestBytes];
  Digest(name, bytes, digest);
  arrow::Status written = WriteAll(fd, bytes);
  if (written.ok()) written = WriteAll(fd, digest);
  if (close(fd) != 0 && written.ok()) written = DiskError("write", temporary, errno);
  if (written.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    // Its folder is made when it is first needed.
    (void)mkdir(path.substr(0, path.rfind('/')).c_str(), 0777);
    if (rename(temporary.c_str(), path.c_str()) != 0) written = DiskError("write", path, errno);
  }
  if (!written.ok()) unlink(temporary.c_str());
  return written;
}

// Makes room for so many bytes more.
void ObjectCache::Trim(int64_t wanted) {
  // Others wait, as they would fill the disk meanwhile.
  const std::lock_guard lock(trimming_);
  if (to_trim_ >= wanted) return;
  to_trim_ = most_bytes_ / kTrimEvery;
  struct Entry {
    fs::file_time_type used;
    int64_t size;
    std::string path;
  };
  std::vector<Entry> entries;
  int64_t bytes = writing_;  // by threads that this one does not see the entries of yet
  std::error_code error;
  const auto now = fs::file_time_type::clock::now();
  for (fs::recursive_directory_iterator at(folder_, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;  // removed by another process
    if (!at->is_regular_file(gone)) continue;
    const auto used = at->last_write_time(gone);
    const auto size = at->file_size(gone);
    if (gone) continue;
    if (at->path().filename().native().starts_with(kTemporary)) {
      if (now - used > kForgotten) fs::remove(at->path(), gone);
      continue;
    }
    entries.push_back({used, static_cast<int64_t>(size), at->path()});
    bytes += static_cast<int64_t>(size);
  }
  if (bytes <= most_bytes_ - most_bytes_ / kTrimEvery) return;
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry& entry : entries) {
    if (bytes <= most_bytes_ / 10 * 9) break;
    unlink(entry.path.c_str());
    bytes -= entry.size;
  }
}

}  // namespace pomona
