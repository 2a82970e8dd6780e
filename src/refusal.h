// A Status that says why a run was not published although nothing broke.
#pragma once

#include <arrow/status.h>

#include <string>

#include "pomona/refusal.h"

namespace pomona {

// The public counterpart is RefusalOf() in pomona/refusal.h.
arrow::Status Refuse(RunRefusal refusal, const std::string& message);

}  // namespace pomona
