// The objects by which writers to one output on S3 keep out of each other's way.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <map>
#include <string>

#include "pomona/cancel.h"
#include "s3_folder.h"

namespace pomona {

// How often a lock is to be renewed.
inline constexpr std::chrono::milliseconds kHeartbeat{5'000};

// A lock that did not change for so long belongs to nobody.
inline constexpr std::chrono::milliseconds kLockPatience{3 * kHeartbeat};

// A lock that tells of its writer, and changes as long as that one is alive.
//
// Threads: one caller at a time.
class S3Lock {
 public:
  virtual ~S3Lock() = default;

  // Comes back once it is ours. Errors: RunRefusal::kOutputBusy where another writer is alive;
  // NotImplemented where the store lacks what this takes; IOError, Cancelled.
  virtual arrow::Status Take(CancelToken cancel) = 0;

  // Changes it, so that others see that we are alive. A store that does not answer for a while
  // takes no lock away.
  enum class Renewal { kOurs, kLost, kUnknown };
  virtual Renewal Renew() = 0;

  // Gives it up, also one that could not be taken whole. The next writer waits for what cannot be
  // removed now.
  virtual void Release() = 0;
};

// One object, _pomona.lock, that is written on the condition that nobody else did: created where
// there was none, replaced where it still is what was seen last.
class ConditionalLock : public S3Lock {
 public:
  // `writer`: begins with `here`, which stands for this machine and the caller's folder on it:
  // locks that earlier writers left from there are void. The folder outlives this.
  ConditionalLock(S3Folder& folder, std::string here, std::string writer);

  arrow::Status Take(CancelToken cancel) override;
  Renewal Renew() override;
  void Release() override;

 private:
  // The lock as it is there; its ETag is empty where there is none.
  struct Seen {
    std::string writer, etag;
  };
  arrow::Result<Seen> Look() const;
  arrow::Status Put(const std::string& if_match);
  arrow::Status CheckConditionsHold();
  // Whether it is ours now; false: somebody was faster.
  arrow::Result<bool> TakeOnce(CancelToken cancel);
  // Whether the writer of this lock is dead; false: there is none any more.
  arrow::Result<bool> WaitForDeath(const Seen& other, CancelToken cancel) const;
  arrow::Status Explain(const arrow::Status& status) const;

  S3Folder& folder_;
  const std::string here_, writer_, key_;
  int64_t beat_ = 0;  // no two states of the lock are alike
  std::string etag_;  // of ours; empty: there is none of ours
};

// For stores that do not know conditions. Each writer puts a lock of its own, _pomona-NAME, and
// only then looks for those of others: as S3 lists what was written before, at least one of two
// sees the other's, and whoever sees one withdraws his.
class ListedLock : public S3Lock {
 public:
  // As ConditionalLock.
  ListedLock(S3Folder& folder, std::string here, std::string writer);

  arrow::Status Take(CancelToken cancel) override;
  Renewal Renew() override;
  void Release() override;

 private:
  using Locks = std::map<std::string, arrow::fs::TimePoint>;  // when they were written, by name
  arrow::Result<Locks> List() const;
  arrow::Status Put();
  // Waits until these writers are gone, removing the locks of those who died.
  arrow::Status WaitForOthers(Locks others, CancelToken cancel) const;

  S3Folder& folder_;
  const std::string here_, name_;  // of our locks, of this one
  std::chrono::steady_clock::time_point renewed_;
};

}  // namespace pomona
