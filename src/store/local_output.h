// Runs published in a folder of this machine, by renaming.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "disk.h"
#include "folder_lock.h"
#include "output.h"

namespace pomona {

// OUTPUT is a folder, and OUTPUT/_pomona its work folder. To publish is to move the staged folders
// to their places, one after another; a journal names the run meanwhile, so that whoever finds it
// knows whose folders to roll back. To remove a run is to roll it back.
class LocalOutput : public Output {
 public:
  // `path`: absolute.
  explicit LocalOutput(std::string path, OutputFolders folders = kRunFolders)
      : path_(std::move(path)), folders_(folders) {}

  const std::string& location() const override { return path_; }
  const std::string& folder() const override { return path_; }

  // Tries out that folders can be moved to where Publish() moves them.
  arrow::Status Lock(CancelToken cancel) override;
  arrow::Status Join(const std::string& run_id, bool together) override;
  arrow::Status Deliver(CancelToken cancel) override;
  void Leave() override;
  void Abandon() override;

  WorkFolder& work() override { return *work_; }
  PublishedFiles published() const override { return PublishedFiles(path_, folders_); }
  arrow::Status Begin(const std::string& run_id) override;
  arrow::Status Publish(const std::vector<OutputFolder>& folders, CancelToken cancel,
                        const Poll& poll, const std::function<void()>& published) override;
  arrow::Status WriteCard(std::string_view text) override;
  arrow::Status Remove(const std::string& run_id) override;

 private:
  arrow::Status WriteJournal(const std::string& run_id) const;
  arrow::Status RollBackUnfinished();
  arrow::Status RollBack(const std::string& run_id) const;
  arrow::Status TryMoves() const;
  arrow::Status Move(const std::vector<OutputFolder>& folders) const;
  std::string PublishedFolder(const OutputFolder& folder, const std::string& run_id) const;
  std::string KindFolder(const OutputFolder& folder) const;

  const std::string path_;
  const OutputFolders folders_;
  std::optional<ScratchFolder> scratch_;  // of one that takes part
  std::unique_ptr<FolderLock> shared_;    // of one that takes part together with others
  std::unique_ptr<WorkFolder> work_;
};

}  // namespace pomona
