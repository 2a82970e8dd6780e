#include "s3_lease.h"

#include <sys/stat.h>

#include <random>

#include "guarded.h"
#include "machine.h"
#include "refusal.h"
#include "sha256.h"

namespace pomona {

arrow::Status S3Lease::Take(CancelToken cancel) {
  const auto [host, boot] = Machine::This();
  // Containers may share a host's name and the paths of folders that are not the same.
  struct stat folder{};
  (void)stat(local_folder_.c_str(), &folder);
  const std::string here = Sha256()
                               .Add(host + ' ' + boot)
                               .Add(local_folder_)
                               .Add(static_cast<int64_t>(folder.st_dev))
                               .Add(static_cast<int64_t>(folder.st_ino))
                               .Hex()
                               .substr(0, 16);
  std::random_device random;
  const std::string writer = here + '-' + std::to_string(random());
  lock_ = std::make_unique<ConditionalLock>(folder_, here, writer);
  arrow::Status taken = lock_->Take(cancel);
  if (taken.IsNotImplemented()) {
    lock_->Release();
    lock_ = std::make_unique<ListedLock>(folder_, here, writer);
    taken = lock_->Take(cancel);
  }
  ARROW_RETURN_NOT_OK(taken);
  renewed_ = Clock::now();
  held_ = true;
  renewer_ = std::thread([this] { Renew(); });
  return arrow::Status::OK();
}

void S3Lease::Renew() {
  while (held_ && !released_.try_acquire_for(kHeartbeat)) {
    const std::lock_guard lock(renewing_);
    // Where memory ends, the next time may be better.
    (void)Guarded([this] {
      RenewOnce();
      return arrow::Status::OK();
    });
  }
}

S3Lock::Renewal S3Lease::RenewOnce() {
  // Another thread may have found out while this one waited.
  if (!held_) return S3Lock::Renewal::kLost;
  const auto now = Clock::now();
  const S3Lock::Renewal renewal = lock_->Renew();
  if (renewal == S3Lock::Renewal::kOurs) renewed_ = now;
  if (renewal == S3Lock::Renewal::kLost) held_ = false;
  return renewal;
}

arrow::Status S3Lease::CheckHeld() const {
  if (held_) return arrow::Status::OK();
  return Refuse(RunRefusal::kOutputBusy, "another run has taken over the output " + folder_.uri());
}

arrow::Status S3Lease::Confirm(Clock::duration recently) {
  const auto is_recent = [&] { return Clock::now() - renewed_.load() < recently; };
  if (!is_recent()) {  // else without waiting for a renewal that is under way
    const std::lock_guard lock(renewing_);
    if (!is_recent() && RenewOnce() == S3Lock::Renewal::kUnknown) {
      return arrow::Status::IOError("the store does not say whether the output ", folder_.uri(),
                                    " is still locked for this run");
    }
  }
  return CheckHeld();
}

void S3Lease::StopRenewing() {
  if (!renewer_.joinable()) return;
  released_.release();
  renewer_.join();
}

void S3Lease::Release() {
  StopRenewing();
  held_ = false;
  if (lock_) lock_->Release();
  lock_.reset();
}

}  // namespace pomona
