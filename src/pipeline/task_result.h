// What a task tells of itself: a small text, from the process that did it to the one that planned.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "extract_fragments.h"
#include "pomona/transfers.h"
#include "store/checksums.h"

namespace pomona {

struct TaskResult {
  int64_t items = 0;               // that the task was for, where it extracted
  Extraction extraction;           // of them
  TransferCounts reads;            // from S3, meanwhile
  int64_t rows_written = 0;        // to files of vectors
  Checksums checksums;             // of the parts that it delivered
  std::vector<std::string> notes;  // what the user should know

  std::string ToText() const;
  // Errors: Invalid.
  static arrow::Result<TaskResult> Parse(std::string_view text);
};

}  // namespace pomona
