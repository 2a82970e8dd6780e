// Strips and tiles of a TIFF that Deflate compressed, where all is well with them; the rest is left to
// libtiff, which takes longer.
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

  struct Rows {
    size_t bytes = 0;                      // of each
    uint64_t bits = 0;                     // of a sample
    size_t pixel = 0;                      // samples side by side
    bool differences = false;              // from the pixel before: the tag Predictor is 2, not 1
    ByteOrder order = ByteOrder::kLittle;  // of samples of 16 bits
  };

  // Samples of up to 8 or of 16 bits; differences of 8 bits in pixels of up to four, or of 16.
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
