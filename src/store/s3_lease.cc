#include "s3_lease.h"

#include <random>

#include "machine.h"
#include "sha256.h"

namespace pomona {

arrow::Status S3Lease::Take(CancelToken cancel) {
  const auto [host, boot] = Machine::This();
  const std::string here = Sha256().Add(host + ' ' + boot).Add(local_folder_).Hex().substr(0, 16);
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
  held_ = true;
  renewer_ = std::thread([this] { Renew(); });
  return arrow::Status::OK();
}

void S3Lease::Renew() {
  while (held_ && !released_.try_acquire_for(kHeartbeat)) {
    if (!lock_->Renew()) held_ = false;
  }
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
