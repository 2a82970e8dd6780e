// A whole file as bytes.
#pragma once

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/result.h>

#include <memory>
#include <string>

namespace pomona {

// Mapped: Arrow's own pools reserve far more than they give, which the limits of a child do not
// allow. Who shortens the file kills the reader.
inline arrow::Result<std::shared_ptr<arrow::Buffer>> MapFile(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto file,
                        arrow::io::MemoryMappedFile::Open(path, arrow::io::FileMode::READ));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  return file->ReadAt(0, size);  // keeps the file mapped
}

}  // namespace pomona
