// One writer to an output on S3 at a time.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>

#include "pomona/cancel.h"
#include "s3_folder.h"
#include "s3_lock.h"

namespace pomona {

// A lock, of the best kind that the store offers, renewed every few seconds. Others keep away while
// it changes; one that does not change is taken over, and its writer, should he come back, gives
// up.
//
// Threads: one caller at a time; it renews itself on a thread of its own.
class S3Lease {
 public:
  using Clock = std::chrono::steady_clock;

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

  // Whether it is ours as far as is known: taken, and nobody was seen to have it.
  // Errors: RunRefusal::kOutputBusy.
  arrow::Status CheckHeld() const;

  // Makes sure of it: by a renewal, unless one within `recently` succeeded; then without waiting.
  // Errors: RunRefusal::kOutputBusy where another run has it now; IOError where the store does not say.
  // Threads: any.
  arrow::Status Confirm(Clock::duration recently = {});

  // Gives it up, also one that could not be taken whole.
  void Release();

 private:
  void Renew();
  // REQUIRES: renewing_ is held.
  S3Lock::Renewal RenewOnce();
  void StopRenewing();

  S3Folder& folder_;
  const std::string local_folder_;
  std::mutex renewing_;
  std::unique_ptr<S3Lock> lock_;
  std::atomic<Clock::time_point> renewed_{};  // when it was ours for certain
  std::atomic<bool> held_ = false;
  std::binary_semaphore released_{0};
  std::thread renewer_;
};

}  // namespace pomona
