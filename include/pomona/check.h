// Decodes a whole tree, to know before a run what it will reject.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pomona/item.h"
#include "pomona/options.h"
#include "pomona/run.h"
#include "pomona/source.h"

namespace pomona {

// pomona check: decodes everything, infers nothing.
struct CheckOptions {
  RunOptions run;       // of which those that IsCheckOption() tells, and cpu
  bool hashes = false;  // SHA-256 of the pixels before and after the resize
};

// Whether an option of a run means something for a check: what it takes, where that is, and when
// rejects are too many.
bool IsCheckOption(const RunOptionSpec& spec);

struct CheckResult {
  const Item* item = nullptr;
  Outcome outcome;
  std::string format;  // as far as it is known
  std::string mode;
  int width = 0;
  int height = 0;
  std::string rgb_sha256;          // of height x width x 3 bytes; also where stats are full
  std::string rgb224_sha256;       // of the 224 x 224 x 3 bytes that the network would see
  std::vector<double> statistics;  // those of StatisticNames(), of images that can be read
};

// What became of all files.
struct CheckSummary {
  Counts counts;
  std::map<std::string, int64_t> rejects_by_reason;
  std::map<std::string, int64_t> skips_by_reason;
  int64_t unlabelled = 0;  // of counts.listed: in no folder
  bool passed = true;      // whether max_rejects allows the rejects
};

// `report` hears what became of each item, in path order, the hooks several times a second how many
// are done, and what the user should know besides; all on the thread that called Check().
arrow::Result<CheckSummary> Check(Source& source, const CheckOptions& options,
                                  const std::function<void(const CheckResult&)>& report,
                                  const RunHooks& hooks = {});

}  // namespace pomona
