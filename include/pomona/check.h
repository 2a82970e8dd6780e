// Decodes a whole tree, to know before a run what it will reject.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <string>

#include "pomona/cancel.h"
#include "pomona/item.h"
#include "pomona/options.h"
#include "pomona/run.h"
#include "pomona/source.h"

namespace pomona {

// pomona check: decodes everything, infers nothing.
struct CheckOptions {
  RunOptions run;       // of which mode, include, exclude, hidden, limit, threads, cpu count
  bool hashes = false;  // SHA-256 of the pixels before and after the resize
};

struct CheckResult {
  const Item* item = nullptr;
  Outcome outcome;
  std::string format;  // as far as it is known
  std::string mode;
  int width = 0;
  int height = 0;
  std::string rgb_sha256;     // of height x width x 3 bytes
  std::string rgb224_sha256;  // of the 224 x 224 x 3 bytes that the network would see
};

// `report` hears what became of each item, in path order, on the thread that called Check().
arrow::Result<Counts> Check(Source& source, const CheckOptions& options,
                            const std::function<void(const CheckResult&)>& report,
                            CancelToken cancel = {});

}  // namespace pomona
