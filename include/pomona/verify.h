// Whether a published run still is what the run left, and what it has to be.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/options.h"

namespace pomona {

struct VerifyResult {
  std::string run_id;
  int64_t files = 0;
  int64_t rows = 0;
  std::vector<std::string> problems;  // in the user's words, the first kMaxProblems; none: all well
  bool damaged = false;  // whether any is with the run itself, rather than with reading its files
};

inline constexpr size_t kMaxProblems = 100;

// Checks a run published in `output`, a local folder or one on S3: every file's checksum; the rows
// of all its tables against each other, their order and number; listed = rows + rejects + skips;
// the PCA's projections, computed anew from the features.
//
// `run_id`: empty for the run published last.
// Memory: bounded by a block of rows of each table.
// Errors: Invalid where there is no such run; Cancelled; IOError. What is wrong with the run is no
// error but a problem.
arrow::Result<VerifyResult> Verify(const std::string& output, const std::string& run_id,
                                   const S3Options& s3 = {}, CancelToken cancel = {});

}  // namespace pomona
