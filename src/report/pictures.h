// The small pictures of a page.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/source.h"

namespace pomona {

// Reads an image file; false where it cannot be read now. Threads: called by several at once.
using ReadPicture = std::function<bool(const std::string& path, FileBytes* bytes)>;

struct Pictured {
  std::optional<int64_t> bytes;        // of the file; nothing where it could not be read
  std::optional<FileBytes> thumbnail;  // nothing where none of it could be decoded
};

// What is to be seen of each of these files. `readers`: threads that read files; `threads` of them
// decode at once.
// Errors: Cancelled. A file that cannot be read or decoded, for whatever reason, is none.
arrow::Result<std::vector<Pictured>> MakePictures(const std::vector<std::string>& paths,
                                                  const ReadPicture& read, int readers, int threads,
                                                  CancelToken cancel);

}  // namespace pomona
