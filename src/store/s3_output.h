// Runs published on S3, where nothing can be renamed.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "output.h"
#include "s3_folder.h"
#include "s3_lease.h"

namespace pomona {

// The run is made in a work folder of this machine's cache: there are its fragments and finished
// files, and from there an interrupted run resumes. Objects appear whole or not at all; the data
// come first, then each folder's _SUCCESS, and that of run_info last. A journal names the run
// meanwhile.
class S3Output : public Output {
 public:
  // Errors: those of S3Connection::Open(); Invalid where there is no place for a cache.
  static arrow::Result<std::unique_ptr<Output>> Open(const std::string& uri,
                                                     const S3Options& options, CancelToken cancel);

  const std::string& location() const override { return folder_->uri(); }
  const std::string& folder() const override { return local_; }
  arrow::Status Lock(bool fresh, CancelToken cancel) override;
  WorkFolder& work() override { return *work_; }
  PublishedFiles published() const override { return folder_->files(); }
  arrow::Status Begin(const std::string& run_id) override;
  arrow::Status Upload(CancelToken cancel, const Poll& poll) override;
  arrow::Status Publish(const std::vector<OutputFolder>& folders, CancelToken cancel,
                        const Poll& poll) override;
  void Abandon() override;
  TransferCounts transfers() const override { return folder_->transfers(); }

 private:
  S3Output(std::unique_ptr<S3Folder> folder, std::string local);
  arrow::Status RollBackUnfinished();
  arrow::Status RemoveJournal() const;

  const std::unique_ptr<S3Folder> folder_;
  const std::string local_;  // by the URI
  std::unique_ptr<WorkFolder> work_;
  S3Lease lease_;
  std::set<std::string> uploaded_;  // by path below the output
};

}  // namespace pomona
