// One writer to an output on S3 at a time.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <map>
#include <semaphore>
#include <string>
#include <thread>

#include "pomona/cancel.h"
#include "s3_folder.h"

namespace pomona {

// S3 offers no locks and Arrow no conditional writes. So each writer puts a lock of its own,
// OUTPUT/_pomona-NAME, and only then looks for those of others: as S3 lists what was written
// before, at least one of two sees the other's, and whoever sees one withdraws his. The one who is
// alone rewrites his lock every few seconds. Others keep away while its time changes; one that does
// not change is removed, and its writer, should he come back, gives up.
//
// Threads: one caller at a time; it renews itself on a thread of its own.
class S3Lease {
 public:
  // `local_folder`: where the caller works, as this machine's only one: locks that were left by
  // runs in it are void. The folder outlives this.
  S3Lease(S3Folder& folder, std::string local_folder)
      : folder_(folder), local_folder_(std::move(local_folder)) {}

  // Renews it no longer; the lock stays unless it was released.
  ~S3Lease() { StopRenewing(); }
  S3Lease(const S3Lease&) = delete;
  S3Lease& operator=(const S3Lease&) = delete;

  // Errors: RunRefusal::kOutputBusy where another writer is alive, IOError, Cancelled.
  arrow::Status Take(CancelToken cancel);

  // Whether it is ours: taken, and nobody has removed it.
  bool held() const { return held_; }

  // Gives it up, also one that could not be taken whole.
  void Release();

 private:
  using Locks = std::map<std::string, arrow::fs::TimePoint>;  // when they were written, by name
  arrow::Result<Locks> ListLocks() const;
  arrow::Status PutLock();
  // Waits until these writers are gone, removing the locks of those who died.
  arrow::Status WaitForOthers(Locks others, CancelToken cancel) const;
  void Renew();
  void StopRenewing();

  S3Folder& folder_;
  const std::string local_folder_;
  std::string lock_;  // our lock's name
  std::atomic<bool> held_ = false;
  std::binary_semaphore released_{0};
  std::thread renewer_;
};

}  // namespace pomona
