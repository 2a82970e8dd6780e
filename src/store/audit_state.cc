#include "audit_state.h"

#include <nlohmann/json.hpp>

#include "checksums.h"
#include "layout.h"

namespace pomona {

arrow::Result<AuditState> FindAudit(const PublishedFiles& files, const std::string& run_id) {
  const PublishedFiles audits = files.Audits();
  ARROW_ASSIGN_OR_RAISE(const bool there, audits.Exists(SuccessOf(kRunInfo, run_id)));
  if (!there) return AuditState::kNone;
  const auto info = ReadObject(audits, kRunInfo.Path(run_id) + '/' + PartName(0, "json"));
  ARROW_ASSIGN_OR_RAISE(const std::string run, files.Sha256Of(ChecksumsPath(run_id)));
  const bool same = info.ok() && info->value(kAuditedRun, nlohmann::json()) == run;
  return same ? AuditState::kOfThisRun : AuditState::kOfAnother;
}

}  // namespace pomona
