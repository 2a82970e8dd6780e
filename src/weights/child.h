// Work on bytes that a library may crash on.
#pragma once

#include <arrow/status.h>

#include <cstddef>
#include <functional>

namespace pomona {

struct ChildLimits {
  int seconds = 60;                     // of CPU
  size_t more_bytes = size_t{1} << 30;  // of memory, than the parent has
};

// Calls `work` in a child process and gives back its status. What it changes but in files is lost.
// Errors: Invalid where the child dies of a signal or computes for too long; OutOfMemory where it
// asks for too much.
arrow::Status InChild(const std::function<arrow::Status()>& work, const ChildLimits& limits = {});

}  // namespace pomona
