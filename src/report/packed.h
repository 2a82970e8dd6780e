// Numbers and texts as a page carries them: typed arrays, where it pays deflated (zlib's format,
// which every browser inflates itself).
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pomona {

using Bytes = std::vector<uint8_t>;

// Deflates what it is given, piece by piece.
class Deflater {
 public:
  enum class Content {
    kText,   // what repeats itself
    kNoise,  // of which only some values are more frequent than others
  };
  explicit Deflater(Content content);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  void Add(std::span<const uint8_t> bytes);
  void Add(std::string_view text);
  size_t size() const;  // that have come out so far

  // REQUIRES: called once, last.
  Bytes Finish();

 private:
  struct Stream;
  void Run(std::span<const uint8_t> bytes, int flush);
  std::unique_ptr<Stream> stream_;
};

// An array of a page: its bytes, and what a script has to know to read them.
struct PackedArray {
  nlohmann::ordered_json how;  // {"type": "float32"} or {"type": "steps", "low": .., "step": ..}
  Bytes bytes;
};

// The values themselves.
PackedArray PackFloats(std::span<const float> values);

// Each value to the next of 1024 steps from the lowest to the highest, in about 8.7 bits: a byte of
// its upper eight bits, all of them deflated, then two bits each, four in a byte.
inline constexpr int kSteps = 1024;
PackedArray PackSteps(std::span<const float> values);

// Small indices, of which neighbours are often the same.
PackedArray PackIndices(std::span<const uint16_t> values);

}  // namespace pomona
