#include <memory>
#include <string>

#include "dataset_card.h"
#include "layout.h"
#include "output.h"
#include "pomona/published_output.h"
#include "pomona/refusal.h"
#include "run_files.h"

namespace pomona {
namespace {

// The run that was being published, or removed, when its process died; "" where there is none.
arrow::Result<std::string> Interrupted(const PublishedFiles& files) {
  ARROW_ASSIGN_OR_RAISE(const bool there, files.Exists(kJournal));
  if (!there) return std::string();
  ARROW_ASSIGN_OR_RAISE(std::string run_id, files.Read(kJournal));
  if (run_id.ends_with('\n')) run_id.pop_back();
  return run_id;
}

arrow::Result<PublishedRun> Find(const PublishedFiles& files, const std::string& run_id) {
  std::string stranger, audit_stranger;
  ARROW_ASSIGN_OR_RAISE(PublishedRun run, FindRun(files, run_id, &stranger));
  ARROW_ASSIGN_OR_RAISE(const PublishedRun audit, FindRun(files.Audits(), run_id, &audit_stranger));
  run.files += audit.files;
  run.bytes += audit.bytes;
  if (!audit_stranger.empty()) stranger = std::string(kAuditFolder) + '/' + audit_stranger;
  if (run.files == 0) {
    ARROW_ASSIGN_OR_RAISE(const std::string interrupted, Interrupted(files));
    if (interrupted != run_id) {
      return arrow::Status::Invalid("no run ", run_id, " is published in ", files.output());
    }
  }
  if (stranger.empty()) return run;
  return arrow::Status::Invalid(files.Path(stranger), ": no file of the run ", run_id,
                                "; move it elsewhere, and the run can be deleted");
}

arrow::Status DeleteAudit(const std::string& output, const std::string& run_id, const S3Options& s3,
                          CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const auto audits, OpenAudits(output, s3, cancel));
  ARROW_RETURN_NOT_OK(audits->Lock(cancel));
  // What an audit that was killed had made holds paths and labels of its run.
  arrow::Status removed = audits->Clear(/*fresh=*/true);
  if (removed.ok()) removed = audits->Remove(run_id);
  audits->Abandon();
  return removed;
}

}  // namespace

arrow::Result<PublishedRun> RunToDelete(const std::string& output, const std::string& run_id,
                                        const S3Options& s3, CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles files, PublishedFiles::Open(output, s3, cancel));
  return Find(files, run_id);
}

arrow::Status DeleteRun(const std::string& output, const std::string& run_id, const S3Options& s3,
                        CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Output> opened, OpenOutput(output, s3, cancel));
  // Before the lock, which makes the folder where there is none.
  ARROW_RETURN_NOT_OK(Find(opened->published(), run_id));
  const PublishedFiles audits = opened->published().Audits();
  ARROW_ASSIGN_OR_RAISE(const PublishedRun audit, FindRun(audits, run_id));
  ARROW_ASSIGN_OR_RAISE(const bool unfinished_audit, audits.Exists(std::string(kWorkFolder)));
  ARROW_RETURN_NOT_OK(opened->Lock(cancel));
  arrow::Status removed;
  if (audit.files > 0 || unfinished_audit) removed = DeleteAudit(output, run_id, s3, cancel);
  // Another run is being audited, and this one has no audit.
  if (audit.files == 0 && RefusalOf(removed) == RunRefusal::kOutputBusy) removed = {};
  if (removed.ok()) {
    // First, so that no card is ever of a run that is gone; none is better.
    if (!RefreshCard(*opened, run_id).ok()) (void)UpdateCard(*opened, "");
    removed = opened->Remove(run_id);
    if (!removed.ok()) (void)RefreshCard(*opened);
  }
  opened->Abandon();
  return removed;
}

}  // namespace pomona
