// Whether a run was audited.
#pragma once

#include <arrow/result.h>

#include <string>

#include "published_files.h"

namespace pomona {

// What an audit's run_info has the checksum of its run's checksums under.
inline constexpr const char* kAuditedRun = "audited_run_sha256sums";

enum class AuditState {
  kNone,
  kOfThisRun,
  kOfAnother,  // of one that had this id before, or a damaged one
};

arrow::Result<AuditState> FindAudit(const PublishedFiles& files, const std::string& run_id);

}  // namespace pomona
