// The step from a file's bytes to what becomes of it, for whatever is made of images.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "memory_budget.h"
#include "pomona/decode.h"
#include "pomona/durations.h"
#include "pomona/item.h"
#include "pomona/source.h"

namespace pomona {

// Names the image at which memory ended; other errors stay as they are.
arrow::Status AtImage(std::string_view path, const arrow::Status& status);

// Of an image whose verdict stayed open. Errors: UnknownError, always.
arrow::Status Forgotten(std::string_view path);

// What the images of several threads may take at once, but for the few MiB of each.
struct ImageMemory {
  // bytes: 0 for as many as suit the machine; what needs more alone is refused only where somebody
  // said how many. A file that is larger comes alone.
  explicit ImageMemory(int64_t bytes);

  MemoryBudget files;
  MemoryBudget pictures;
};

// A thread's own decoder and buffer for files.
//
// Threads: none shared; each worker owns one.
class ImageReader {
 public:
  // memory: outlives this. scaled_side: see Decoder.
  explicit ImageReader(ImageMemory* memory, int scaled_side = 0);

  using ReadBytes = std::function<arrow::Result<std::optional<Reject>>(FileBytes*)>;
  using UseImage = std::function<arrow::Status(const PictureInfo&)>;

  // Reads a file by `read`, decodes it into `rows` and calls `use` once they are all there. `path`
  // says what the file promises to be; empty: nobody knows, and it was meant to be an image. `size`:
  // its bytes, as far as they are known.
  // Errors: those of `read` and `use`, which concern every image; OutOfMemory, which names this one.
  arrow::Result<Outcome> Process(std::string_view path, int64_t size, const ReadBytes& read,
                                 RowSink* rows, const UseImage& use);

  // The same for a file that is in memory.
  arrow::Result<Outcome> Process(std::string_view path, std::span<const uint8_t> file,
                                 RowSink* rows, const UseImage& use);

  // What was read of the last file, but of a file of many MiB only the kSniffBytes (decode.h) at its
  // beginning.
  std::span<const uint8_t> bytes() const { return bytes_; }

  // Spent so far, a file at a time.
  const Durations& read_durations() const { return read_; }
  const Durations& decode_durations() const { return decode_; }
  const Durations& rows_durations() const { return rows_; }  // by who took a picture's rows
  int64_t read_bytes() const { return read_bytes_; }

 private:
  arrow::Result<Outcome> ReadAndDecode(std::string_view path, const ReadBytes& read, RowSink* rows,
                                       const UseImage& use);
  arrow::Result<Outcome> Decode(std::string_view path, std::span<const uint8_t> file, RowSink* rows,
                                const UseImage& use);

  ImageMemory& memory_;
  Decoder decoder_;
  FileBytes bytes_;
  Durations read_;
  Durations decode_;
  Durations rows_;
  int64_t read_bytes_ = 0;
};

}  // namespace pomona
