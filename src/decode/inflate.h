// Expands a zlib stream that comes in pieces, at twice zlib's speed and more: a look-up gives up to
// three literals at once. Whatever it takes, zlib takes, and expands to the same bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace pomona {

// What the kernel goes on from.
struct InflateState {
  static constexpr int kLiteralBits = 11;  // looked up at once, of codes of at most 15
  static constexpr int kDistanceBits = 9;
  // Longer codes have tables of their own behind the first. There are at least two codes in each.
  static constexpr int kLiteralEntries = (1 << kLiteralBits) + (286 / 2 << (15 - kLiteralBits));
  static constexpr int kDistanceEntries = (1 << kDistanceBits) + (30 / 2 << (15 - kDistanceBits));

  enum class Next { kStream, kBlock, kStored, kCodes, kChecksum, kNothing };

  std::function<std::span<const uint8_t>()> next_piece;  // an empty one is the last
  const uint8_t* in = nullptr;
  const uint8_t* in_end = nullptr;
  uint64_t bits = 0;  // read and not used, the next one lowest
  uint32_t bit_count = 0;
  uint32_t made_up = 0;  // of them at most, the last: the pieces ended

  uint8_t* first = nullptr;  // byte of the window
  uint8_t* out = nullptr;
  uint8_t* out_end = nullptr;  // no symbol begins from there on; what one makes may pass it

  Next next = Next::kStream;
  bool last_block = false;
  uint32_t stored = 0;    // bytes to come of a block without codes
  uint32_t checksum = 0;  // what the stream says
  uint32_t literals[kLiteralEntries];
  uint32_t distances[kDistanceEntries];
};

class Inflater {
 public:
  // Bytes that can be read behind what Read() gives.
  static constexpr size_t kPadding = 64;

  // The memory that it takes to Read() up to `most` bytes at once.
  static constexpr size_t RoomFor(size_t most) {
    return kWindow + std::max(most, kAtOnce) + kSlack;
  }

  // `room` has to live as long as this does.
  Inflater(std::function<std::span<const uint8_t>()> next_piece, std::span<uint8_t> room);

  // The next `size` bytes, until the next call; null where the stream has fewer or is broken.
  const uint8_t* Read(size_t size);

  // Whether the stream ends here, and its checksum is that of all that was read.
  bool Ends();

 private:
  static constexpr size_t kWindow = 32'768;  // as far as a stream refers back
  static constexpr size_t kAtOnce = 65'536;
  static constexpr size_t kSlack =
      258 + 2 * kPadding;  // the longest match, literals before it, and what may be read behind

  InflateState state_;
  const std::span<uint8_t> room_;
  const uint8_t* read_;    // up to there
  uint32_t checksum_ = 1;  // of all before
  bool broken_ = false;
};

}  // namespace pomona
