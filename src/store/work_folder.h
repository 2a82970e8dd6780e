// The unfinished work of one run: what the next one resumes from, and what is to be published.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checksums.h"
#include "folder_lock.h"
#include "layout.h"

namespace pomona {

// Holds ROOT/_pomona for one run: its lock, the list of items, the fragments done so far, the
// folders to publish. ROOT is OUTPUT, or stands for one that is not on this machine.
//
// What lies there may be anybody's: somebody's archive, unpacked to let it grow. So it is believed
// only as far as it cannot lead outside, and only files and folders of the names that a run gives
// are removed.
//
// Threads: from Begin() on any number at once, until Seal().
class WorkFolder {
 public:
  // Creates the folder and takes its lock.
  // Errors: RunRefusal::kOutputBusy where another run holds it; Invalid where a folder is a link;
  // IOError.
  static arrow::Result<std::unique_ptr<WorkFolder>> Open(const std::string& root);

  // Drops what a run that died was in the middle of, and where `fresh` also its fragments.
  arrow::Status Clear(bool fresh) const;

  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  // ROOT/_pomona.
  const std::string& path() const { return path_; }

  // Gives the run its id. REQUIRES: called before parts are made. Errors: IOError where it makes
  // too long a name.
  arrow::Status Begin(const std::string& run_id);
  const std::string& run_id() const { return run_id_; }

  // Where the list of items is; see ItemSpool.
  std::string ItemsPath() const;

  // Where the fragment with this key is, or will be.
  std::string FragmentPath(size_t index, const std::string& key) const;

  // How many fragments are stored beside those at these paths.
  arrow::Result<int64_t> CountOtherFragments(const std::set<std::string>& wanted) const;

  // Where rejects are listed when a run is refused for them.
  std::string RefusedErrorsPath() const;

  // The file part-NNNNN.<extension> of a folder to publish, which is created.
  arrow::Result<std::string> PartPath(const OutputFolder& folder, size_t part,
                                      std::string_view extension) const;

  // The file of an ItemRecord.
  arrow::Result<std::string> ItemRecordPath(size_t part) const;

  // The file of PartPath(), opened for writing. Closing it flushes it to the disk and records its
  // checksum.
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> CreatePart(const OutputFolder& folder,
                                                                     size_t part,
                                                                     std::string_view extension);

  arrow::Status WritePart(const OutputFolder& folder, size_t part, std::string_view extension,
                          std::string_view text);

  // Records the checksum of a file of a folder to publish that was written by other means.
  arrow::Status RecordChecksum(const std::string& path);

  // Makes the folders complete: adds the checksums and, to each, _SUCCESS.
  arrow::Status Seal(const std::vector<OutputFolder>& folders) const;

  // The folders to publish stand below it as they will stand below the output.
  std::string StagedRoot() const;
  std::string StagedFolder(const OutputFolder& folder) const;

  // Removes all that a run makes, and the folder unless it holds something else. What stays behind
  // is removed by the next run. REQUIRES: no other call follows.
  void CleanUp();

 private:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}
  arrow::Result<std::string> NewPath(const OutputFolder& folder, const std::string& name) const;
  std::string* ChecksumOf(const std::string& staged_path);

  const std::string path_;
  std::string run_id_;
  std::unique_ptr<FolderLock> lock_;
  std::mutex checksums_mutex_;
  Checksums checksums_;
};

// A small file, flushed to the disk. Errors: IOError names the path.
arrow::Status WriteSmallFile(const std::string& path, std::string_view text);

}  // namespace pomona
