#include "s3_lock.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "refusal.h"
#include "s3/connection.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* kLock = "_pomona.lock";
constexpr const char* kLockPrefix = "_pomona-";

// Rounds in which others were faster, or a store contradicts itself.
constexpr int kMostRounds = 1'000;
constexpr milliseconds kLookEvery{500};

constexpr int kMostRemovals = 8;

constexpr std::string_view kText = "Pomona is writing here.\n";

arrow::Status Busy(const S3Folder& folder) {
  return Refuse(RunRefusal::kOutputBusy,
                "another run is writing to " + folder.uri() + "; wait until it has ended");
}

// Those who met each other come back one by one.
void SleepAtRandom() {
  std::random_device random;
  std::this_thread::sleep_for(milliseconds(random() % 1'000));
}

}  // namespace

ConditionalLock::ConditionalLock(S3Folder& folder, std::string here, std::string writer)
    : folder_(folder),
      here_(std::move(here)),
      writer_(std::move(writer)),
      key_(S3Key(folder.uri() + '/' + kLock)) {}

arrow::Result<ConditionalLock::Seen> ConditionalLock::Look() const {
  std::vector<uint8_t> bytes;
  const auto object = folder_.connection().Get(key_, 0, -1, &bytes);
  if (IsNoSuchKey(object.status())) return Seen{};
  if (!object.ok()) return Explain(object.status());
  std::string writer(bytes.begin(), bytes.end());
  if (writer.starts_with(kText)) writer.erase(0, kText.size());
  writer.erase(std::min(writer.find(' '), writer.size()));
  return Seen{writer, object->etag};
}

// Errors: those of the connection.
arrow::Status ConditionalLock::Put(const std::string& if_match) {
  const std::string text = std::string(kText) + writer_ + ' ' + std::to_string(++beat_) + '\n';
  ARROW_ASSIGN_OR_RAISE(
      etag_, folder_.connection().Put(
                 key_, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}, if_match));
  return arrow::Status::OK();
}

arrow::Status ConditionalLock::Take(CancelToken cancel) {
  for (int round = 0; round < kMostRounds; ++round) {
    ARROW_RETURN_NOT_OK(cancel.Check());
    ARROW_ASSIGN_OR_RAISE(const bool taken, TakeOnce(cancel));
    if (taken) return CheckConditionsHold();
    SleepAtRandom();
  }
  return arrow::Status::IOError("cannot write ", folder_.uri(), '/', kLock,
                                ": the store neither gives nor shows it");
}

arrow::Result<bool> ConditionalLock::TakeOnce(CancelToken cancel) {
  const arrow::Status created = Put("*");
  if (created.ok()) return true;
  if (!IsConditionFailed(created)) return Explain(created);
  ARROW_ASSIGN_OR_RAISE(const Seen other, Look());
  if (other.etag.empty()) return false;
  if (other.writer == writer_) {
    // Ours: the answer of an earlier attempt was lost.
    etag_ = other.etag;
    return true;
  }
  if (!other.writer.starts_with(here_)) {
    ARROW_ASSIGN_OR_RAISE(const bool is_dead, WaitForDeath(other, cancel));
    if (!is_dead) return false;
  }
  const arrow::Status replaced = Put(other.etag);
  if (replaced.ok()) return true;
  if (IsConditionFailed(replaced) || IsNoSuchKey(replaced)) return false;
  return Explain(replaced);
}

// Some stores write whatever the condition, or do not say what they wrote.
arrow::Status ConditionalLock::CheckConditionsHold() {
  if (etag_.empty()) return arrow::Status::NotImplemented("the store gives no ETag");
  for (const char* wrong : {"*", "00000000000000000000000000000000"}) {
    const arrow::Status put = Put(wrong);
    if (IsConditionFailed(put)) continue;
    if (!put.ok()) return Explain(put);
    return arrow::Status::NotImplemented("the store writes whatever the condition");
  }
  return arrow::Status::OK();
}

arrow::Result<bool> ConditionalLock::WaitForDeath(const Seen& other, CancelToken cancel) const {
  for (const auto start = Clock::now(); Clock::now() - start < kLockPatience;) {
    std::this_thread::sleep_for(kLookEvery);
    ARROW_RETURN_NOT_OK(cancel.Check());
    ARROW_ASSIGN_OR_RAISE(const Seen now, Look());
    if (now.etag.empty()) return false;
    if (now.etag != other.etag) return Busy(folder_);
  }
  return true;
}

S3Lock::Renewal ConditionalLock::Renew() {
  // Without a condition it would take the lock from whoever has it.
  if (etag_.empty()) return Renewal::kLost;
  const arrow::Status put = Put(etag_);
  if (put.ok()) return Renewal::kOurs;
  if (!IsConditionFailed(put) && !IsNoSuchKey(put)) return Renewal::kUnknown;
  const auto there = Look();
  if (!there.ok()) return Renewal::kUnknown;
  // Ours where the answer of an earlier attempt was lost.
  etag_ = there->writer == writer_ ? there->etag : "";
  return etag_.empty() ? Renewal::kLost : Renewal::kOurs;
}

void ConditionalLock::Release() {
  // Renewed, nobody else takes it over while it is being removed. So each attempt renews it first:
  // if the answer to an earlier one was lost, it may be the next writer's.
  for (int attempt = 0; attempt < kMostRemovals && !etag_.empty(); ++attempt) {
    if (Renew() != Renewal::kOurs) break;
    if (folder_.connection().Delete(key_, /*once=*/true).ok()) break;
  }
  etag_.clear();
}

arrow::Status ConditionalLock::Explain(const arrow::Status& status) const {
  const S3Failure* failure = S3Failure::Of(status);
  if (failure && failure->status == 501) return arrow::Status::NotImplemented(status.message());
  return folder_.connection().Explain("cannot write", folder_.uri() + '/' + kLock, status);
}

ListedLock::ListedLock(S3Folder& folder, std::string here, std::string writer)
    : folder_(folder),
      here_(kLockPrefix + std::move(here)),
      name_(kLockPrefix + std::move(writer)) {}

arrow::Result<ListedLock::Locks> ListedLock::List() const {
  ARROW_ASSIGN_OR_RAISE(const auto entries, folder_.files().List(""));
  Locks locks;
  for (const arrow::fs::FileInfo& entry : entries) {
    const std::string name = entry.base_name();
    if (entry.IsFile() && name.starts_with(kLockPrefix)) locks[name] = entry.mtime();
  }
  return locks;
}

arrow::Status ListedLock::Put() {
  const auto now = Clock::now();
  ARROW_RETURN_NOT_OK(folder_.Put(name_, kText));
  renewed_ = now;
  return arrow::Status::OK();
}

arrow::Status ListedLock::Take(CancelToken cancel) {
  for (;;) {
    ARROW_RETURN_NOT_OK(Put());
    ARROW_ASSIGN_OR_RAISE(Locks others, List());
    const bool kept = others.erase(name_) > 0;
    for (auto lock = others.begin(); lock != others.end();) {
      if (!lock->first.starts_with(here_)) {
        ++lock;
        continue;
      }
      ARROW_RETURN_NOT_OK(folder_.RemoveFile(lock->first));
      lock = others.erase(lock);
    }
    if (kept && others.empty()) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(folder_.RemoveFile(name_));
    ARROW_RETURN_NOT_OK(WaitForOthers(std::move(others), cancel));
    SleepAtRandom();
  }
}

arrow::Status ListedLock::WaitForOthers(Locks others, CancelToken cancel) const {
  for (const auto start = Clock::now(); !others.empty() && Clock::now() - start < kLockPatience;) {
    std::this_thread::sleep_for(kLookEvery);
    ARROW_RETURN_NOT_OK(cancel.Check());
    ARROW_ASSIGN_OR_RAISE(const Locks now, List());
    std::erase_if(others, [&](const auto& lock) { return !now.contains(lock.first); });
    for (const auto& [name, written] : others) {
      if (now.at(name) != written) return Busy(folder_);
    }
  }
  for (const auto& [name, written] : others) ARROW_RETURN_NOT_OK(folder_.RemoveFile(name));
  return arrow::Status::OK();
}

S3Lock::Renewal ListedLock::Renew() {
  const auto there = folder_.files().Exists(name_);
  if (there.ok() && !*there) return Renewal::kLost;
  const auto before = renewed_;
  if (!Put().ok()) return Renewal::kUnknown;
  if (Clock::now() - before <= kLockPatience) return Renewal::kOurs;
  // Others may have taken so long a silence for death, and Put() brought back what they removed. By
  // now they have locks of their own.
  std::this_thread::sleep_for(2 * kLookEvery);
  const auto locks = List();
  if (!locks.ok()) {
    renewed_ = before;
    return Renewal::kUnknown;
  }
  if (locks->size() == 1 && locks->contains(name_)) return Renewal::kOurs;
  Release();
  return Renewal::kLost;
}

void ListedLock::Release() { (void)folder_.RemoveFile(name_); }

}  // namespace pomona
