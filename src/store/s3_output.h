// Runs published on S3, where nothing can be renamed.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "disk.h"
#include "output.h"
#include "s3_folder.h"
#include "s3_lease.h"

namespace pomona {

// The run is made in a work folder of this machine's cache: there are its fragments and finished
// files, and from there an interrupted run resumes. Where others take part, what is shared lies in
// OUTPUT/_pomona as well. Objects appear whole or not at all; the data
// come first, then each folder's _SUCCESS, and that of run_info last. A journal names the run
// meanwhile.
class S3Output : public Output {
 public:
  // Errors: those of S3Connection::Open(); Invalid where there is no place for a cache.
  static arrow::Result<std::unique_ptr<Output>> Open(const std::string& uri,
                                                     const S3Options& options, CancelToken cancel,
                                                     OutputFolders folders);

  const std::string& location() const override { return folder_->uri(); }
  const std::string& folder() const override { return local_; }
  arrow::Status Lock(CancelToken cancel) override;
  arrow::Status Clear(bool fresh) override;
  arrow::Status Join(const std::string& run_id, bool together) override;
  arrow::Status OpenForOthers() override;
  arrow::Status Deliver(CancelToken cancel) override;
  void Leave() override;
  WorkFolder& work() override { return *work_; }
  PublishedFiles published() const override { return folder_->files(); }
  arrow::Status Begin(const std::string& run_id) override;
  arrow::Status Upload(CancelToken cancel, const Poll& poll) override;
  arrow::Status Publish(const std::vector<OutputFolder>& folders, CancelToken cancel,
                        const Poll& poll, const std::function<void()>& published) override;
  arrow::Status CheckHeld() const override { return lease_.CheckHeld(); }
  arrow::Status WriteCard(std::string_view text) override;
  void Abandon() override;
  arrow::Status Remove(const std::string& run_id) override;
  TransferCounts transfers() const override { return folder_->transfers(); }

 private:
  // OUTPUT/_pomona as the others see it.
  class SharedFolder : public Carrier {
   public:
    explicit SharedFolder(S3Folder& folder) : folder_(folder) {}
    arrow::Status Send(const std::string& path, const std::string& name) override;
    arrow::Result<bool> Fetch(const std::string& name, const std::string& path,
                              bool known) override;
    arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(
        const std::string& name) override;

    arrow::Result<std::set<std::string>> List() override;

    // Learns what is there. Errors: IOError.
    arrow::Status Learn();
    // Whether that was nothing.
    bool empty() const { return known_.empty(); }

   private:
    S3Folder& folder_;
    std::set<std::string> known_;
  };

  S3Output(std::unique_ptr<S3Folder> folder, std::string local);
  arrow::Status RollBackUnfinished();
  arrow::Status RollBack(const std::string& run_id);
  arrow::Status RemoveStrangers(const std::vector<OutputFolder>& folders);
  arrow::Status RemoveWork();

  const std::unique_ptr<S3Folder> folder_;
  std::string local_;                     // by the URI, or scratch
  std::optional<ScratchFolder> scratch_;  // of one that takes part
  SharedFolder shared_;
  bool is_shared_ = false;
  std::unique_ptr<WorkFolder> work_;
  S3Lease lease_;
  std::set<std::string> uploaded_;  // by path below the output
};

}  // namespace pomona
