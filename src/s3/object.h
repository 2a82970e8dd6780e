// An object on S3 as Arrow's readers take it.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <memory>
#include <string>

#include "s3/connection.h"

namespace pomona {

// All that is read is of the state that the object has now. The connection outlives it; reads may be
// under way then. Threads: ReadAt() and ReadAsync() by any number at once. Errors: those of the
// connection.
arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenS3Object(S3Connection* connection,
                                                                         std::string key);

}  // namespace pomona
