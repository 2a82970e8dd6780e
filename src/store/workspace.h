// The output folder: one writer at a time, unfinished work out of sight, runs published whole.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "checksums.h"
#include "disk.h"
#include "folder_lock.h"
#include "layout.h"

namespace pomona {

// Holds OUTPUT for one run. What is unfinished lives in OUTPUT/_pomona, which readers that follow
// the convention of '_' never see: the lock, the fragments done so far, the folders to publish.
//
// The output may be anybody's: somebody's archive, unpacked to let it grow. So what lies in it is
// believed only as far as it cannot lead outside, and only files and folders of the names that a
// run gives are removed.
//
// Threads: the functions that return paths and streams may be called by any number at once.
class Workspace {
 public:
  // Creates the folders, takes the lock, clears up after a run that died and tries out that folders
  // can be moved to where Publish() moves them.
  // Errors: RunRefusal::kOutputBusy where another run holds it; Invalid where a folder is a link or
  // the journal names no run; IOError.
  static arrow::Result<std::unique_ptr<Workspace>> Open(const std::string& output, bool fresh);

  // Gives the run its id. REQUIRES: called once with success, before parts are made.
  // Errors: Invalid where the output has folders of this id already; IOError.
  arrow::Status Begin(const std::string& run_id);

  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  const std::string& output() const { return output_; }

  // Where the fragment with this key is, or will be.
  std::string FragmentPath(size_t index, const std::string& key) const;

  // How many fragments are stored beside those at these paths.
  arrow::Result<int64_t> CountOtherFragments(const std::set<std::string>& wanted) const;

  // Where rejects are listed when a run is refused for them.
  std::string RefusedErrorsPath() const;

  // The file part-NNNNN.<extension> of an unpublished folder, whose folder is created.
  arrow::Result<std::string> PartPath(const OutputFolder& folder, size_t part,
                                      std::string_view extension) const;

  // The file that tells of which items the rows of a part were made; see reuse.h.
  arrow::Result<std::string> ItemRecordPath(size_t part) const;

  // The file of PartPath(), opened for writing. Closing it flushes it to the disk and notes its
  // digest.
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> CreatePart(const OutputFolder& folder,
                                                                     size_t part,
                                                                     std::string_view extension);

  arrow::Status WritePart(const OutputFolder& folder, size_t part, std::string_view extension,
                          std::string_view text);

  // Notes the checksum of a file of an unpublished folder that was written by other means.
  arrow::Status NotePart(const std::string& path);

  // Adds the checksums noted and, to each of the folders, _SUCCESS; then moves them to their
  // places, in the order given; the last one makes the run exist. Then the unfinished work is
  // removed. Errors: nothing is published.
  //
  // `elsewhere`, where given, publishes in another place than the output: it gets StagedRoot() with
  // all that is to be published.
  using PublishElsewhere = std::function<arrow::Status(const std::vector<OutputFolder>&)>;
  arrow::Status Publish(const std::vector<OutputFolder>& folders,
                        const PublishElsewhere& elsewhere = {});

  // The folders to publish stand below it as they will stand below the output.
  std::string StagedRoot() const;

 private:
  explicit Workspace(std::string output);
  arrow::Status WithdrawUnfinished() const;
  arrow::Status TryMoves() const;
  arrow::Status Withdraw(const std::string& run_id) const;
  arrow::Status Move(const std::vector<OutputFolder>& folders) const;
  void CleanUp();
  arrow::Result<std::string> NewPath(const OutputFolder& folder, const std::string& name) const;
  std::string* ChecksumOf(const std::string& staged_path);
  std::string StagedFolder(const OutputFolder& folder) const;
  std::string PublishedFolder(const OutputFolder& folder) const;
  std::string JournalPath() const;

  const std::string output_;
  const std::string work_;
  std::string run_id_;
  std::unique_ptr<FolderLock> lock_;
  std::mutex checksums_mutex_;
  Checksums checksums_;
};

}  // namespace pomona
