// Where decoded rows go.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pomona {

// How many rows are handed on at once: enough to fill the vectors of who takes them, and of wide
// pictures so few that they are still in the cache then. A multiple of 16.
constexpr int RowsAtOnce(int64_t width) {
  constexpr int64_t kCacheBytes = int64_t{1} << 18;
  return static_cast<int>(std::clamp<int64_t>(kCacheBytes / (3 * width) / 16 * 16, 16, 64));
}

// Takes a picture's rows, from top to bottom, as a codec makes them.
class RowSink {
 public:
  virtual ~RowSink() = default;

  // Before the first row; width, height >= 1. Called again where a codec starts over: what came
  // before is forgotten. May throw std::bad_alloc.
  virtual void Begin(int width, int height) = 0;

  // The next `count` rows of width x 3 bytes, without padding. The memory stays the codec's. Throws
  // nothing: some codecs call it from C.
  virtual void Add(const uint8_t* rows, int count) noexcept = 0;
};

}  // namespace pomona
