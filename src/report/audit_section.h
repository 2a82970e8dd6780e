// What an audit found, on a page.
#pragma once

#include <arrow/result.h>

#include <string>

#include "pictures.h"
#include "section.h"
#include "store/published_files.h"

namespace pomona {

// Of the audit of a run. `read`: of the pictures to be shown; none where there are to be none. Errors:
// of the tables; Cancelled.
arrow::Result<Section> GatherAudit(const PublishedFiles& audits, const std::string& run_id,
                                   const ReadPicture& read, int threads, CancelToken cancel);

}  // namespace pomona
