// Work on bytes that a library may crash on.
#pragma once

#include <arrow/status.h>

#include <functional>

namespace pomona {

// Calls `work` in a child process and gives back its status. What it changes but in files is lost.
// Errors: Invalid where the child dies of a signal or computes for a minute; OutOfMemory where it
// asks for a gigabyte.
arrow::Status InChild(const std::function<arrow::Status()>& work);

}  // namespace pomona
