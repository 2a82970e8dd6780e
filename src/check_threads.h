// Of a number of threads that a caller asks for.
#pragma once

#include <arrow/status.h>

namespace pomona {

// 0 is as many as cores; see ThreadCount(). Errors: Invalid where so many cannot be asked for.
arrow::Status CheckThreads(int threads);

}  // namespace pomona
