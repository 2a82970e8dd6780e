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
#include "item_spool.h"
#include "layout.h"

namespace pomona {

// Brings files of the work folder to other machines that work on the same run, and theirs here,
// where they share no file system. Files are named by their paths below the work folder.
//
// Threads: safe to share. Errors: IOError names the file.
class Carrier {
 public:
  virtual ~Carrier() = default;
  virtual arrow::Status Send(const std::string& path, const std::string& name) = 0;
  // Whether there is such a file; it appears at `path` whole. `known`: only one that was there
  // already when this machine took part, for which nothing is asked.
  virtual arrow::Result<bool> Fetch(const std::string& name, const std::string& path,
                                    bool known) = 0;
  virtual arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(
      const std::string& name) = 0;
  // The names of all that is there now.
  virtual arrow::Result<std::set<std::string>> List() = 0;
};

// In the work folder: where parts are staged, and where those do who only take part.
inline constexpr const char* kStaged = "/publish";
inline constexpr const char* kScratch = "/scratch";

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

  // The folder of a run that another process holds: fragments and lists are read and stored where
  // they are, parts are staged in `staging`. Takes no lock.
  static arrow::Result<std::unique_ptr<WorkFolder>> Join(const std::string& root,
                                                         const std::string& staging);

  // From now on what is missing is fetched, and where others take part now what is shared is sent;
  // without a carrier everybody sees the same folder. It outlives this.
  void ShareBy(Carrier* carrier, bool send) {
    carrier_ = carrier;
    send_ = send;
  }

  // Shows a file of this folder to the others.
  arrow::Status Share(const std::string& path) const;

  // Whether there is a file of this name, here or, then fetched, with the others. `known`: of
  // theirs only what they had when this machine took part.
  arrow::Result<bool> Fetch(const std::string& path, bool known = false) const;

  // Makes the folders that fragments and moments are stored in.
  // Errors: Invalid where one is a link; IOError.
  arrow::Status Prepare() const;

  // Drops the parts that are staged here, and what was recorded of them.
  arrow::Status ClearStaged();

  // Drops the list of items, the plan and what was made of all fragments, which serve one run.
  arrow::Status ClearRun() const;

  // Whether what is stored and not shared is still there when this process has ended.
  bool outlasts() const { return !carrier_ || !send_; }

  // Drops a file that was shared and that others keep, so that it does not fill this machine.
  void DropCopy(const std::string& path) const;

  // Drops what a run that died was in the middle of, and where `fresh` also its fragments. Then as
  // Prepare().
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

  // The list that another process filled, where it is.
  arrow::Result<std::unique_ptr<ItemSpool>> OpenItems() const;

  // Where the plan of the run is; see Plan.
  std::string PlanPath() const;

  // Where moments are that were merged, or a PCA that was fitted, for the run with this key.
  std::string MomentsPath(std::string_view name, const std::string& key) const;

  // Where the fragment is, or will be.
  std::string FragmentPath(const ListedFragment& fragment) const;

  // How many of the fragments at these paths are not stored whole, here or with the others.
  arrow::Result<int64_t> CountMissing(const std::vector<std::string>& paths) const;

  // Drops the copies of what the others have as well, so that they do not fill this machine.
  void DropCopies() const;

  // How many fragments are stored, whole or not, beside those at these paths.
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

  // The same of the page in kReport.
  arrow::Result<std::shared_ptr<arrow::io::OutputStream>> CreateReport();

  arrow::Status WritePart(const OutputFolder& folder, size_t part, std::string_view extension,
                          std::string_view text);

  // Records the checksum of a file of a folder to publish that was written by other means.
  arrow::Status RecordChecksum(const std::string& path);

  // Hands over what was recorded of the parts staged here, to the one who publishes them.
  Checksums TakeChecksums();
  const Checksums& checksums() const { return checksums_; }
  void AddChecksums(const Checksums& checksums);

  // Creates these folders, so that others can bring their parts.
  arrow::Status MakeStagedFolders(const std::vector<OutputFolder>& folders) const;

  // Makes the folders complete: adds the checksums and, to each, _SUCCESS.
  arrow::Status Seal(const std::vector<OutputFolder>& folders) const;

  // The folders to publish stand below it as they will stand below the output.
  std::string StagedRoot() const;
  std::string StagedFolder(const OutputFolder& folder) const;

  // Gives the lock up and leaves the rest, or nothing where there is none. REQUIRES: no other call
  // follows.
  void Withdraw();

  // Removes all that a run makes, and the folder unless it holds something else. What stays behind
  // is removed by the next run. REQUIRES: no other call follows.
  void CleanUp();

 private:
  WorkFolder(std::string path, std::string staging)
      : path_(std::move(path)), staging_(std::move(staging)) {}
  arrow::Result<std::string> NewPath(const OutputFolder& folder, const std::string& name) const;
  std::string* ChecksumOf(const std::string& staged_path);

  const std::string path_;
  const std::string staging_;
  Carrier* carrier_ = nullptr;
  bool send_ = false;
  std::string run_id_;
  std::unique_ptr<FolderLock> lock_;
  std::mutex checksums_mutex_;
  Checksums checksums_;
};

// A small file, flushed to the disk. Errors: IOError names the path.
arrow::Status WriteSmallFile(const std::string& path, std::string_view text);

}  // namespace pomona
