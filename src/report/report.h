// What a run's report shows, gathered from its tables and pictures.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <string>
#include <vector>

#include "pictures.h"
#include "points.h"
#include "pomona/options.h"
#include "section.h"
#include "tables.h"

namespace pomona {

struct ReportInput {
  RunTables tables;
  ReportKind kind;   // not kNone
  bool images;       // whether pictures may be shown
  ReadPicture read;  // of what is to be shown
  int threads = 1;
  CancelToken cancel;
  ReportLimits limits;
};

// The sections that the same run always has. Memory: 50 bytes a point.
// Errors: of the tables; Cancelled.
arrow::Result<std::vector<Section>> GatherReport(const ReportInput& input);

// The section about how the run was made, which differs from one execution to another: what
// run_info says.
Section MakingSection(const nlohmann::json& run_info);

// Writes the report of a run. Does not close `out`.
arrow::Status WriteReport(const std::string& run_id, const std::vector<Section>& sections,
                          arrow::io::OutputStream* out);

}  // namespace pomona
