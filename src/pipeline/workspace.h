// The output folder: one writer at a time, unfinished work out of sight, runs published whole.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "disk.h"
#include "folder_lock.h"

namespace pomona {

// One folder of the output contract.
struct OutputFolder {
  std::string kind;  // "features/parquet"
  std::string name;  // "features", published as <kind>/<name>_<run id>

  // Below the output.
  std::string Path(const std::string& run_id) const { return kind + '/' + name + '_' + run_id; }
};

// Holds OUTPUT for one run. What is unfinished lives in OUTPUT/_pomona, which readers that follow
// the convention of '_' never see: the lock, the fragments done so far, the folders to publish.
//
// Threads: the functions that return paths and streams may be called by any number at once.
class Workspace {
 public:
  // Creates the folders, takes the lock and clears up after a run that died while it published.
  // Errors: RunRefusal::kOutputBusy where another run holds it; Invalid where the output has
  // folders of this run id already; IOError.
  static arrow::Result<std::unique_ptr<Workspace>> Open(const std::string& output,
                                                        const std::string& run_id, bool fresh);
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  const std::string& output() const { return output_; }

  // Where the fragment with this key is, or will be.
  std::string FragmentPath(size_t index, const std::string& key) const;

  // Removes all fragments but those at these paths, and returns how many there were.
  arrow::Result<int64_t> RemoveOtherFragments(const std::set<std::string>& wanted) const;

  // Where rejects are listed when a run is refused for them.
  std::string RefusedErrorsPath() const;

  // The file part-NNNNN.<extension> of an unpublished folder, whose folder is created.
  arrow::Result<std::string> PartPath(const OutputFolder& folder, size_t part,
                                      std::string_view extension) const;

  // The same, opened for writing. Closing it flushes it to the disk and notes its digest.
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> CreatePart(const OutputFolder& folder,
                                                                     size_t part,
                                                                     std::string_view extension);

  arrow::Status WritePart(const OutputFolder& folder, size_t part, std::string_view extension,
                          std::string_view text);

  // Notes the digest of a file that was written at PartPath() by other means.
  arrow::Status NotePart(const std::string& path);

  // The digests noted, by path below the output.
  // REQUIRES: no part is being written.
  const std::map<std::string, FileDigest>& digests() const { return digests_; }

  // Adds _SUCCESS to the folders and moves them to their places, in the order given; the last one
  // makes the run exist. Then the unfinished work is removed.
  // Errors: nothing is published.
  arrow::Status Publish(const std::vector<OutputFolder>& folders);

 private:
  Workspace(std::string output, std::string run_id);
  arrow::Status WithdrawUnfinished() const;
  arrow::Status Withdraw(const std::string& run_id) const;
  arrow::Status Move(const std::vector<OutputFolder>& folders) const;
  void CleanUp();
  FileDigest* DigestFor(const std::string& staged_path);
  std::string StagedFolder(const OutputFolder& folder) const;
  std::string PublishedFolder(const OutputFolder& folder) const;
  std::string JournalPath() const;

  const std::string output_;
  const std::string work_;
  const std::string run_id_;
  std::unique_ptr<FolderLock> lock_;
  std::mutex digests_mutex_;
  std::map<std::string, FileDigest> digests_;
};

}  // namespace pomona
