// One writer to a folder at a time, whatever became of the ones before.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <string>

namespace pomona {

// A lock that its holder's death releases: flock() on FOLDER/lock. Where the file system has no
// flock(), a file FOLDER/owner@<host>@<boot>@<pid>@<start> tells who holds it; owners that died on
// this host are recognised, one on another host has to be removed by hand.
//
// Threads: one caller at a time.
class FolderLock {
 public:
  // Creates the folder where it is missing.
  // Errors: RunRefusal::kOutputBusy where another process, or this one, holds the lock; IOError.
  static arrow::Result<std::unique_ptr<FolderLock>> Take(const std::string& folder);

  // One that many may hold at once, but none while somebody has taken it whole. Where the file
  // system has no flock(), it keeps nobody out. REQUIRES: the folder is there.
  static arrow::Result<std::unique_ptr<FolderLock>> Share(const std::string& folder);

  // Releases the lock.
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // Removes the lock's file, still held, and then the folder, unless somebody has already taken the
  // lock anew or keeps something else in it. REQUIRES: no other call follows.
  void RemoveFolder();

 private:
  explicit FolderLock(std::string folder) : folder_(std::move(folder)) {}
  arrow::Status TakeByFlock(int how, bool* supported);
  arrow::Status TakeByOwnerFile();

  const std::string folder_;
  int fd_ = -1;        // of the flock
  std::string owner_;  // path of the owner file
};

}  // namespace pomona
