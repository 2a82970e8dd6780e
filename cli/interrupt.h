// Ctrl-C and SIGTERM as a flag that a run looks at.
#pragma once

#include <atomic>

namespace pomona::cli {

// From now on the first signal sets the flag; a second one ends the process at once.
const std::atomic<bool>* CatchInterrupts();

}  // namespace pomona::cli
