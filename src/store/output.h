// Where a run is published, and what is unfinished until then.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "layout.h"
#include "pomona/cancel.h"
#include "pomona/options.h"
#include "pomona/transfers.h"
#include "published_files.h"
#include "work_folder.h"

namespace pomona {

// One OUTPUT, held by one run. Nothing is visible to readers before Publish(), and then all of it.
//
// Threads: one caller at a time; work() says what it allows itself.
class Output {
 public:
  // Hears the bytes brought to where they are published so far, several times a second, on the
  // calling thread.
  using Poll = std::function<void(int64_t bytes)>;

  // Gives up the lock of a local folder. Whoever took the output publishes or abandons it before.
  virtual ~Output() = default;

  // As users know it: an absolute path or a URI.
  virtual const std::string& location() const = 0;

  // The folder of this machine that the run fills.
  virtual const std::string& folder() const = 0;

  // Takes the output for this run and rolls back what a run left that died while it was published.
  // Called once.
  // Errors: RunRefusal::kOutputBusy; Invalid where what lies in it leads elsewhere; IOError;
  // Cancelled.
  virtual arrow::Status Lock(CancelToken cancel) = 0;

  // Drops what a run that died was in the middle of, and where `fresh` also its fragments.
  // REQUIRES: Lock() succeeded, and no part was made.
  virtual arrow::Status Clear(bool fresh) { return work().Clear(fresh); }

  // Instead of Lock(): takes part in the run of this id, whose parts Deliver() brings to the one
  // who holds the output and publishes it. `together`: nobody holds it; those who take part keep
  // holders out between them. Begin(), Upload(), Publish() and Abandon() may not be called then.
  // Errors: RunRefusal::kOutputBusy where somebody holds it against `together`; Invalid where
  // there is no such work folder; IOError.
  virtual arrow::Status Join(const std::string& run_id, bool together) = 0;

  // Whether it is this run's still, as far as is known here. Errors: RunRefusal::kOutputBusy.
  virtual arrow::Status CheckHeld() const { return arrow::Status::OK(); }

  // Whether Lock() met one that died while it published or removed a run, so that the dataset card
  // may be of another run than the newest.
  bool met_interrupted() const { return met_interrupted_; }

  // REQUIRES of all that follow: Lock() or Join() succeeded.

  // What is unfinished, on this machine.
  virtual WorkFolder& work() = 0;

  virtual PublishedFiles published() const = 0;

  // Gives the run its id. REQUIRES: called once with success, before parts are made.
  // Errors: AlreadyExists where there is a run, or a folder, of this id; IOError.
  virtual arrow::Status Begin(const std::string& run_id) = 0;

  // Lets others take part in this run: what WorkFolder::Share() shows can be seen everywhere.
  // REQUIRES: Begin() succeeded.
  virtual arrow::Status OpenForOthers() { return arrow::Status::OK(); }

  // Of one that takes part: brings the parts staged here to those of the run, whose folders the
  // holder has made.
  virtual arrow::Status Deliver(CancelToken cancel) = 0;

  // Gives the output up as it is: others go on with the run.
  virtual void Leave() = 0;

  // Brings the parts staged so far to where they will be published, if that takes time.
  virtual arrow::Status Upload(CancelToken, const Poll&) { return arrow::Status::OK(); }

  // Makes the folders visible, in the order given; the last one makes the run exist. Then
  // `published` is called, while the output is still held, and the unfinished work is removed.
  // Errors: nothing is published.
  virtual arrow::Status Publish(const std::vector<OutputFolder>& folders, CancelToken cancel,
                                const Poll& poll, const std::function<void()>& published) = 0;

  // Replaces the dataset card, which is of the output and of no run, or removes it where `text` is
  // empty; see dataset_card.h. It appears whole. REQUIRES: Lock() succeeded.
  virtual arrow::Status WriteCard(std::string_view text) = 0;

  // Ends a run that is not published: what it brought to readers' places is removed, as far as that
  // is possible now; the next run does the rest. Unfinished work stays for it. No call follows.
  virtual void Abandon() {}

  // Removes a published run, or what is left of one: its existence first. What is interrupted is
  // finished by the next Lock(). REQUIRES: Lock() succeeded, and Begin() or Publish() of this run was not
  // called.
  virtual arrow::Status Remove(const std::string& run_id) = 0;

  // What Upload() and Publish() have sent.
  virtual TransferCounts transfers() const { return {}; }

 protected:
  bool met_interrupted_ = false;
};

// Of a run id that is taken. Errors: AlreadyExists, always.
arrow::Status RunExists(const std::string& run_id, const std::string& location);
// The same where only a folder of that id is there, which may be anybody's.
arrow::Status FolderExists(const std::string& path, const std::string& run_id);

// The output that a path or URI names. Errors: those of LocalPath() and S3Connection::Open().
arrow::Result<std::unique_ptr<Output>> OpenOutput(const std::string& path_or_uri,
                                                  const S3Options& s3, CancelToken cancel,
                                                  OutputFolders folders = kRunFolders);

// Where the audits of an output's runs are published. Errors: as above; Invalid where the place is a
// link.
arrow::Result<std::unique_ptr<Output>> OpenAudits(const std::string& path_or_uri,
                                                  const S3Options& s3, CancelToken cancel);

}  // namespace pomona
