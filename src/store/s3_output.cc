#include "s3_output.h"

#include <arrow/io/file.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/io_util.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>
#include <vector>

#include "layout.h"
#include "pomona/location.h"
#include "refusal.h"
#include "sha256.h"
#include "tasks.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kLockPrefix = "_pomona-";  // of a writer's lock
constexpr const char* kWorkFolder = "_pomona";
constexpr const char* kJournal = "_pomona/publishing";  // the run that is being uploaded
constexpr const char* kSuccess = "_SUCCESS";

constexpr milliseconds kHeartbeat{5'000};
// A lock that did not change for so long belongs to nobody.
constexpr milliseconds kLockPatience{3 * kHeartbeat};
constexpr milliseconds kLookEvery{500};

constexpr int kUploadsAtOnce = 8;
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

// This machine until its next start.
std::string MachineId() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return std::string(host) + ' ' + boot;
}

arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenToUpload(const std::string& path) {
  auto mapped = arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ);
  // Not every file system can map files.
  if (arrow::internal::ErrnoFromStatus(mapped.status()) != ENODEV) return mapped;
  return arrow::io::ReadableFile::Open(path);
}

}  // namespace

arrow::Result<std::unique_ptr<S3Output>> S3Output::Open(const std::string& uri,
                                                        const S3Options& options,
                                                        CancelToken cancel) {
  std::unique_ptr<S3Output> output(new S3Output);
  ARROW_ASSIGN_OR_RAISE(output->uri_, NormalS3Uri(uri));
  ARROW_ASSIGN_OR_RAISE(output->cache_, CacheFolder());
  ARROW_ASSIGN_OR_RAISE(output->connection_, S3Connection::Open(output->uri_, options, cancel));
  return output;
}

S3Output::~S3Output() {
  if (keeper_.joinable()) {
    released_.release();
    keeper_.join();
  }
  if (!held_) return;
  // The journal stays where it is still needed; the next run reads it.
  if (finished_ || WithdrawUnfinished().ok()) (void)RemoveJournal();
  (void)RemoveFile(lock_);
}

std::string S3Output::LocalFolder() const {
  const std::string name = Sha256().Add(uri_).Hex().substr(0, 16);
  return fs::path(cache_) / "outputs" / name;
}

std::string S3Output::Path(std::string_view below) const {
  return S3ArrowPath(uri_) + '/' + std::string(below);
}

arrow::Result<std::string> S3Output::ReadText(const std::string& below) const {
  auto text = published().Read(below);
  if (arrow::internal::ErrnoFromStatus(text.status()) == ENOENT) return std::string();
  return text;
}

arrow::Status S3Output::Put(const std::string& below, std::string_view text) {
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

arrow::Status S3Output::PutFile(const std::string& local, const std::string& below,
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

arrow::Status S3Output::RemoveFolder(const std::string& below) const {
  ARROW_ASSIGN_OR_RAISE(const bool there, published().Exists(below));
  if (!there) return arrow::Status::OK();
  const arrow::Status status = connection_->files().DeleteDir(Path(below));
  return status.ok() ? status : connection_->Explain("cannot remove", uri_ + '/' + below, status);
}

arrow::Status S3Output::RemoveJournal() const {
  ARROW_ASSIGN_OR_RAISE(const auto entries, published().List(kWorkFolder));
  const bool alone = std::ranges::all_of(entries, [](const arrow::fs::FileInfo& entry) {
    return entry.IsFile() && entry.path().ends_with(kJournal);
  });
  // The folder goes with it, unless it holds something else; Arrow would leave a mark of it.
  return alone ? RemoveFolder(kWorkFolder) : RemoveFile(kJournal);
}

arrow::Status S3Output::Lock(CancelToken cancel) {
  ARROW_RETURN_NOT_OK(TakeLock(cancel));
  connection_->Reached();
  return WithdrawUnfinished();
}

arrow::Status S3Output::Begin(const std::string& run_id) {
  run_id_ = run_id;
  ARROW_ASSIGN_OR_RAISE(const bool is_published,
                        published().Exists(kRunInfo.Path(run_id) + '/' + kSuccess));
  if (is_published) {
    return arrow::Status::Invalid("the run ", run_id, " is already published in ", uri_,
                                  "; choose another --run-id");
  }
  return arrow::Status::OK();
}

arrow::Result<S3Output::Locks> S3Output::ListLocks() const {
  ARROW_ASSIGN_OR_RAISE(const auto entries, published().List(""));
  Locks locks;
  for (const arrow::fs::FileInfo& entry : entries) {
    const std::string name = entry.base_name();
    if (entry.IsFile() && name.starts_with(kLockPrefix)) locks[name] = entry.mtime();
  }
  return locks;
}

arrow::Status S3Output::PutLock() { return Put(lock_, "Pomona is writing here.\n"); }

arrow::Status S3Output::RemoveFile(const std::string& below) const {
  const arrow::Status status = connection_->files().DeleteFile(Path(below));
  if (status.ok() || arrow::internal::ErrnoFromStatus(status) == ENOENT) return {};
  return connection_->Explain("cannot remove", uri_ + '/' + below, status);
}

arrow::Status S3Output::TakeLock(CancelToken cancel) {
  const std::string here =
      kLockPrefix + Sha256().Add(MachineId()).Add(LocalFolder()).Hex().substr(0, 16);
  std::random_device random;
  lock_ = here + '-' + std::to_string(random());
  for (;;) {
    ARROW_RETURN_NOT_OK(PutLock());
    ARROW_ASSIGN_OR_RAISE(Locks others, ListLocks());
    const bool kept = others.erase(lock_) > 0;
    // Those that were left by runs on this machine are void: we hold the local folder.
    for (auto lock = others.begin(); lock != others.end();) {
      if (!lock->first.starts_with(here)) {
        ++lock;
        continue;
      }
      ARROW_RETURN_NOT_OK(RemoveFile(lock->first));
      lock = others.erase(lock);
    }
    if (kept && others.empty()) break;
    ARROW_RETURN_NOT_OK(RemoveFile(lock_));
    ARROW_RETURN_NOT_OK(OutliveOthers(std::move(others), cancel));
    // Those who met each other come back one by one.
    std::this_thread::sleep_for(milliseconds(random() % 1'000));
  }
  held_ = true;
  keeper_ = std::thread([this] { KeepLock(); });
  return arrow::Status::OK();
}

arrow::Status S3Output::OutliveOthers(Locks others, CancelToken cancel) const {
  for (const auto start = Clock::now(); !others.empty() && Clock::now() - start < kLockPatience;) {
    std::this_thread::sleep_for(kLookEvery);
    ARROW_RETURN_NOT_OK(cancel.Check());
    ARROW_ASSIGN_OR_RAISE(const Locks now, ListLocks());
    std::erase_if(others, [&](const auto& lock) { return !now.contains(lock.first); });
    for (const auto& [name, written] : others) {
      if (now.at(name) == written) continue;
      return Refuse(RunRefusal::kOutputBusy,
                    "another run is writing to " + uri_ + "; wait for it or choose another OUTPUT");
    }
  }
  for (const auto& [name, written] : others) ARROW_RETURN_NOT_OK(RemoveFile(name));
  return arrow::Status::OK();
}

void S3Output::KeepLock() {
  while (held_ && !released_.try_acquire_for(kHeartbeat)) {
    const auto there = published().Exists(lock_);
    // A storage that does not answer for a while takes no lock away.
    if (there.ok() && !*there) held_ = false;
    if (held_) (void)PutLock();
  }
}

arrow::Status S3Output::WithdrawUnfinished() {
  ARROW_ASSIGN_OR_RAISE(const std::string run_id, ReadText(kJournal));
  if (run_id.empty()) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(CheckJournal(uri_ + '/' + kJournal, run_id));
  ARROW_ASSIGN_OR_RAISE(const bool is_published,
                        published().Exists(kRunInfo.Path(run_id) + '/' + kSuccess));
  if (is_published) return arrow::Status::OK();
  // No std::views::reverse: see Workspace::Withdraw().
  for (auto folder = std::rbegin(kAllFolders); folder != std::rend(kAllFolders); ++folder) {
    ARROW_RETURN_NOT_OK(RemoveFolder((*folder)->Path(run_id)));
  }
  return Put(kJournal, "");
}

arrow::Status S3Output::Upload(const std::string& local_root, CancelToken cancel,
                               const Poll& poll) {
  if (uploaded_.empty()) ARROW_RETURN_NOT_OK(Put(kJournal, run_id_));
  std::vector<std::string> below;  // paths of the files
  std::error_code error;
  for (fs::recursive_directory_iterator entry(local_root, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!entry->is_regular_file() || entry->path().filename() == kSuccess) continue;
    const std::string path = entry->path().lexically_relative(local_root);
    if (uploaded_.insert(path).second) below.push_back(path);
  }
  if (error) return arrow::Status::IOError("cannot list ", local_root, ": ", error.message());
  const auto upload = [&](size_t i, int) {
    return PutFile(local_root + '/' + below[i], below[i], cancel);
  };
  return ParallelFor(below.size(), kUploadsAtOnce, cancel, upload, [&] { poll(bytes_); });
}

arrow::Status S3Output::Finish(const std::string& local_root,
                               const std::vector<OutputFolder>& folders, CancelToken cancel,
                               const Poll& poll) {
  ARROW_RETURN_NOT_OK(Upload(local_root, cancel, poll));
  for (const OutputFolder& folder : folders) {
    if (!held_) {
      return Refuse(RunRefusal::kOutputBusy, "another run has taken over the output " + uri_);
    }
    ARROW_RETURN_NOT_OK(Put(folder.Path(run_id_) + '/' + kSuccess, ""));
  }
  finished_ = true;
  return arrow::Status::OK();
}

TransferCounts S3Output::transfers() const {
  return {0, requests_, connection_->retries(), bytes_, 1e-6 * static_cast<double>(microseconds_)};
}

}  // namespace pomona
