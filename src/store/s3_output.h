// Runs published on S3, where nothing can be renamed.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <semaphore>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "layout.h"
#include "pomona/cancel.h"
#include "pomona/transfers.h"
#include "published_files.h"
#include "s3/connection.h"

namespace pomona {

// Takes over, for an output on S3, the last step of a run that is made in a local folder: there are
// its fragments and finished files, and from there an interrupted run resumes. Objects appear whole
// or not at all; the data come first, then each folder's _SUCCESS, and that of run_info last.
//
// S3 offers no locks and Arrow no conditional writes. So each writer puts a lock of its own,
// OUTPUT/_pomona-NAME, and only then looks for those of others: as S3 lists what was written
// before, at least one of two sees the other's, and whoever sees one withdraws his. The one who is
// alone rewrites his lock every few seconds. Others keep away while its time changes; one that does
// not change is removed, and its writer, should he come back, gives up.
//
// Threads: one caller at a time.
class S3Output {
 public:
  // Errors: those of S3Connection::Open().
  static arrow::Result<std::unique_ptr<S3Output>> Open(const std::string& uri,
                                                       const S3Options& options,
                                                       CancelToken cancel);
  // Withdraws what was uploaded of a run that did not finish, and gives up the lock.
  ~S3Output();
  S3Output(const S3Output&) = delete;
  S3Output& operator=(const S3Output&) = delete;

  const std::string& uri() const { return uri_; }

  // The runs that are there.
  PublishedFiles published() const { return {uri_, connection_}; }

  // Where runs into this output are made: in the user's cache, by the URI.
  std::string LocalFolder() const;

  // Takes the lock and removes what a run left that died while it published.
  // REQUIRES: the caller is this machine's only one for the local folder.
  // Errors: RunRefusal::kOutputBusy, Invalid where the journal names no run, IOError, Cancelled.
  arrow::Status Lock(CancelToken cancel);

  // Gives the run its id. Errors: Invalid where it is published already, IOError.
  arrow::Status Begin(const std::string& run_id);

  // Uploads the files below a local folder that were not uploaded yet, to the same paths below the
  // output. `_SUCCESS` is left for Finish(). Errors: nothing of the file at fault is visible.
  // `poll` is called several times a second with the bytes uploaded so far.
  using Poll = std::function<void(int64_t bytes)>;
  arrow::Status Upload(const std::string& local_root, CancelToken cancel, const Poll& poll);

  // Uploads the rest, and makes the folders complete in the order given.
  arrow::Status Finish(const std::string& local_root, const std::vector<OutputFolder>& folders,
                       CancelToken cancel, const Poll& poll);

  TransferCounts transfers() const;

 private:
  S3Output() = default;

  std::string Path(std::string_view below) const;
  arrow::Result<std::string> ReadText(const std::string& below) const;  // "" where there is none
  arrow::Status Put(const std::string& below, std::string_view text);
  arrow::Status PutFile(const std::string& local, const std::string& below, CancelToken cancel);
  arrow::Status RemoveFolder(const std::string& below) const;
  using Locks = std::map<std::string, arrow::fs::TimePoint>;  // when they were written, by name
  arrow::Result<Locks> ListLocks() const;
  arrow::Status PutLock();
  arrow::Status RemoveFile(const std::string& below) const;
  arrow::Status RemoveJournal() const;
  arrow::Status TakeLock(CancelToken cancel);
  // Waits until these writers are gone, removing the locks of those who died.
  arrow::Status OutliveOthers(Locks others, CancelToken cancel) const;
  arrow::Status WithdrawUnfinished();
  void KeepLock();

  std::string uri_;
  std::string cache_;  // the user's cache folder
  std::shared_ptr<S3Connection> connection_;
  std::string run_id_;
  std::set<std::string> uploaded_;  // by path below the output
  bool finished_ = false;
  std::atomic<int64_t> requests_ = 0, bytes_ = 0, microseconds_ = 0;

  std::string lock_;  // our lock's name
  std::atomic<bool> held_ = false;
  std::binary_semaphore released_{0};
  std::thread keeper_;
};

}  // namespace pomona
