// How much of the machine this process may use. A container, a batch system or `ulimit` may give it
// a part, and what takes more is throttled or killed.
#pragma once

#include <cstdint>
#include <string>

namespace pomona {

// Cores: by affinity and by the CPU quotas of its control groups (v1 and v2), rounded up. At
// least 1. `root`: what stands before /proc and /sys.
int AllowedCpus(const std::string& root = "");

// Bytes of memory: the least of the limits of its control groups; INT64_MAX where there is none.
int64_t AllowedMemory(const std::string& root = "");

// What large pictures may take where nobody said how much: half of what this process may use and the
// machine has, less what its threads take for those of a common size.
int64_t DefaultPictureMemory();

// Threads that these bytes are enough for, `address_space` being what may still be mapped. At
// least 1.
int ThreadsWithin(int64_t memory, int64_t address_space);

// The same for the limits of this process.
int AllowedThreads();

}  // namespace pomona
