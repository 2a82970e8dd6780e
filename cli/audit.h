// What `pomona audit` and `pomona run --audit` do.
#pragma once

#include <arrow/status.h>

#include <string>

#include "pomona/audit.h"
#include "progress.h"

namespace pomona::cli {

// Audits a published run, and unless `quiet` prints what was found. Errors: Audit()'s.
arrow::Status AuditRun(const std::string& output, const AuditOptions& options,
                       ProgressStyle progress, bool quiet);

}  // namespace pomona::cli
