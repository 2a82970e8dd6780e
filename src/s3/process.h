// What a command prints.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <string>

namespace pomona {

// The standard output of a shell's command, which has this process' terminal: it may ask there for
// a code. Killed after `limit`, with its children.
// Errors: Cancelled after that; IOError where it fails, cannot be started or prints without end.
arrow::Result<std::string> OutputOf(const std::string& command, std::chrono::milliseconds limit);

}  // namespace pomona
