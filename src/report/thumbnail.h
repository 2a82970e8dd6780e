// Small pictures for a page.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "memory_budget.h"
#include "pomona/decode.h"

namespace pomona {

// The longer side of a thumbnail.
inline constexpr int kThumbnailSide = 64;

// Makes one thumbnail after another: JPEG files, the same bytes every time.
//
// Threads: none shared; each worker owns one.
class Thumbnailer {
 public:
  // Of an image file; nothing where none of it can be decoded. Of a JPEG that is damaged or cut
  // short, what is left: that is what people want to see of a reject. Nothing also of what would take
  // too much memory.
  std::optional<std::vector<uint8_t>> Make(std::span<const uint8_t> file);

 private:
  std::unique_ptr<MemoryBudget> memory_;  // the decoder's
  std::unique_ptr<Decoder> decoder_;      // once one is needed
  std::vector<uint8_t> pixels_;
};

}  // namespace pomona
