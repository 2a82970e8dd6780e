// Ctrl-C and SIGTERM as a flag that a run looks at.
#pragma once

#include <atomic>

namespace pomona::cli {

// From now on the first signal sets the flag, and the process has kPatience to end by itself before
// it is ended: a run may be ended anywhere. A second signal ends it at once.
const std::atomic<bool>* CatchInterrupts();

inline constexpr unsigned kPatience = 1;  // seconds

// 128 + the signal that was caught; 130, as for Ctrl-C, where there was none.
int InterruptedCode();

}  // namespace pomona::cli
