// The report of a published run: one HTML file for any browser, which needs nothing else.
#pragma once

#include <arrow/result.h>

#include <string>

#include "pomona/cancel.h"
#include "pomona/options.h"

namespace pomona {

struct ReportOptions {
  std::string run_id;                   // empty: the run published last
  std::string file;                     // what to write; empty: report_{id}.html, here
  ReportKind kind = ReportKind::kFull;  // not kNone
  bool images = true;                   // whether it may hold small pictures
  int threads = 0;                      // see ThreadCount()
  S3Options s3;
};

// Makes the report of a run published in `output`, a folder or one on S3, as the run itself does:
// of the same tables and pictures it is the same, byte for byte. Pictures that are no longer where
// the tables say are left out. Returns the file's name.
// Errors: Invalid where there is no such run; what keeps its tables from being read, or the file
// from being written; Cancelled.
arrow::Result<std::string> MakeReport(const std::string& output, const ReportOptions& options,
                                      CancelToken cancel = {});

}  // namespace pomona
