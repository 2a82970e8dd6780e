// Strips and tiles of a TIFF that Deflate compressed, where all is well with them: at three times the
// speed of libtiff, which has the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codecs.h"
#include "pixels.h"

namespace pomona {

class TiffDeflate {
 public:
  // Bytes behind the rows that may be written, whatever they are.
  static constexpr size_t kPadding = 64;

  // Of the samples of a row: each 1 to 16 bits, in the file's order; `pixel` of them side by side;
  // whether they are differences from the pixel before (the tag Predictor is 2, not 1).
  struct Rows {
    size_t bytes = 0;
    uint64_t bits = 0;
    size_t pixel = 0;
    bool differences = false;
    ByteOrder order = ByteOrder::kLittle;
  };

  static bool Knows(const Rows& rows);

  // rows: that are known.
  explicit TiffDeflate(const Rows& rows) : rows_(rows) {}

  // A strip or tile -> `count` rows, 16 bits in this machine's order. False where it holds more or
  // less than they take or is broken; what they are is undefined then.
  bool Expand(std::span<const uint8_t> data, size_t count, uint8_t* rows);

 private:
  void Finish(const uint8_t* row, uint8_t* samples) const;

  const Rows rows_;
  Buffer room_;
};

}  // namespace pomona
