#include "s3_lease.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <utility>

#include "refusal.h"
#include "sha256.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kLockPrefix = "_pomona-";

constexpr milliseconds kHeartbeat{5'000};
// A lock that did not change for so long belongs to nobody.
constexpr milliseconds kLockPatience{3 * kHeartbeat};
constexpr milliseconds kLookEvery{500};

// This machine until its next start.
std::string MachineId() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return std::string(host) + ' ' + boot;
}

}  // namespace

arrow::Result<S3Lease::Locks> S3Lease::ListLocks() const {
  ARROW_ASSIGN_OR_RAISE(const auto entries, folder_.files().List(""));
  Locks locks;
  for (const arrow::fs::FileInfo& entry : entries) {
    const std::string name = entry.base_name();
    if (entry.IsFile() && name.starts_with(kLockPrefix)) locks[name] = entry.mtime();
  }
  return locks;
}

arrow::Status S3Lease::PutLock() { return folder_.Put(lock_, "Pomona is writing here.\n"); }

arrow::Status S3Lease::Take(CancelToken cancel) {
  const std::string here =
      kLockPrefix + Sha256().Add(MachineId()).Add(local_folder_).Hex().substr(0, 16);
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
      ARROW_RETURN_NOT_OK(folder_.RemoveFile(lock->first));
      lock = others.erase(lock);
    }
    if (kept && others.empty()) break;
    ARROW_RETURN_NOT_OK(folder_.RemoveFile(lock_));
    ARROW_RETURN_NOT_OK(WaitForOthers(std::move(others), cancel));
    // Those who met each other come back one by one.
    std::this_thread::sleep_for(milliseconds(random() % 1'000));
  }
  held_ = true;
  renewer_ = std::thread([this] { Renew(); });
  return arrow::Status::OK();
}

arrow::Status S3Lease::WaitForOthers(Locks others, CancelToken cancel) const {
  for (const auto start = Clock::now(); !others.empty() && Clock::now() - start < kLockPatience;) {
    std::this_thread::sleep_for(kLookEvery);
    ARROW_RETURN_NOT_OK(cancel.Check());
    ARROW_ASSIGN_OR_RAISE(const Locks now, ListLocks());
    std::erase_if(others, [&](const auto& lock) { return !now.contains(lock.first); });
    for (const auto& [name, written] : others) {
      if (now.at(name) == written) continue;
      return Refuse(RunRefusal::kOutputBusy, "another run is writing to " + folder_.uri() +
                                                 "; wait for it or choose another OUTPUT");
    }
  }
  for (const auto& [name, written] : others) ARROW_RETURN_NOT_OK(folder_.RemoveFile(name));
  return arrow::Status::OK();
}

void S3Lease::Renew() {
  while (held_ && !released_.try_acquire_for(kHeartbeat)) {
    const auto there = folder_.files().Exists(lock_);
    // A storage that does not answer for a while takes no lock away.
    if (there.ok() && !*there) held_ = false;
    if (held_) (void)PutLock();
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
  // The next writer waits for what cannot be removed now.
  if (!lock_.empty()) (void)folder_.RemoveFile(std::exchange(lock_, {}));
}

}  // namespace pomona
