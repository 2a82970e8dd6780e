// A large object, fetched in several ranges at once.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <string>
#include <vector>

#include "s3/connection.h"

namespace pomona {

// Of what is larger, ranges of this size are fetched, so many at once: one connection does not fill
// a line to a store far away.
inline constexpr int64_t kRangeBytes = int64_t{8} << 20;
inline constexpr int kRangesAtOnce = 4;

// The whole object, in place of what is in `bytes`, all of the state that it has when the first
// range is answered. Works on this thread, with the connection's executor beside it.
// Errors: those of S3Connection::Get(); a failed condition where it changed meanwhile.
arrow::Result<S3Object> GetInRanges(S3Connection& connection, const std::string& key,
                                    std::vector<uint8_t>* bytes);

}  // namespace pomona
