// Runs that are not published although nothing broke.
#pragma once

#include <arrow/status.h>

#include <optional>

namespace pomona {

// Why a run was not published although nothing broke.
enum class RunRefusal { kTooManyRejects, kOutputBusy };

// The refusal that a Status carries as its detail, if it does.
std::optional<RunRefusal> RefusalOf(const arrow::Status& status);

}  // namespace pomona
