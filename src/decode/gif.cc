// The first picture of a GIF. Not by giflib: it takes codes that were never defined, which Pillow
// rejects, and wants the end of the data behind a complete picture, which Pillow does not.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "codecs.h"
#include "pixels.h"

namespace pomona {
namespace {

constexpr size_t kScreenSize = 13;  // signature and logical screen descriptor
constexpr int kMaxCodeBits = 12;
constexpr int kMaxCodes = 1 << kMaxCodeBits;

Reject EndsIn(std::string_view where) {
  return Refuse(Reason::kTruncated, "the file ends in " + std::string(where));
}

struct Frame {
  int64_t left = 0, top = 0, width = 0, height = 0;
  bool interlaced = false;
  std::optional<uint8_t> transparent;
  std::span<const uint8_t> palette;  // empty: shades of gray
  std::string_view mode = "L";
  int code_bits = 0;  // of the smallest codes, less one
  size_t data_at = 0;
};

// A palette that says of each index what its shade of gray would be is none.
bool IsGray(std::span<const uint8_t> palette) {
  for (size_t i = 0; i < palette.size(); ++i) {
    if (palette[i] != i / 3) return false;
  }
  return true;
}

// A walk over the blocks in front of the first picture.
class Blocks {
 public:
  Blocks(std::span<const uint8_t> file, size_t at) : file_(file), at_(at) {}

  bool Has(size_t count) const { return file_.size() - at_ >= count; }
  std::span<const uint8_t> Take(size_t count) {
    const auto taken = file_.subspan(at_, count);
    at_ += count;
    return taken;
  }
  // What is there of the next sub-block; nothing at the end of a chain of them.
  std::span<const uint8_t> TakeSubBlock() {
    if (!Has(1)) return {};
    const size_t size = Take(1)[0];
    return Take(std::min(size, file_.size() - at_));
  }
  size_t at() const { return at_; }

 private:
  std::span<const uint8_t> file_;
  size_t at_;
};

// Finds the first picture and what applies to it.
std::optional<Reject> FindFrame(std::span<const uint8_t> file, Frame* frame) {
  Blocks blocks(file, kScreenSize);
  const auto take_palette = [&](uint8_t flags) -> std::optional<std::span<const uint8_t>> {
    const size_t size = size_t{6} << (flags & 7);
    if (!blocks.Has(size)) return std::nullopt;
    return blocks.Take(size);
  };
  if (file[10] & 0x80) {
    const auto palette = take_palette(file[10]);
    if (!palette) return EndsIn("its palette");
    if (!IsGray(*palette)) {
      frame->palette = *palette;
      frame->mode = "P";
    }
  }
  while (blocks.Has(1)) {
    const uint8_t type = blocks.Take(1)[0];
    if (type == ';') break;
    if (type == '!') {
      if (!blocks.Has(1)) break;
      const uint8_t label = blocks.Take(1)[0];
      std::span<const uint8_t> block = blocks.TakeSubBlock();
      if (label == 0xf9 && !block.empty()) {
        const bool transparent = block[0] & 1;
        if (block.size() < (transparent ? 4 : 3)) {
          return Refuse(Reason::kCorrupt, "a control block that is too short");
        }
        if (transparent) frame->transparent = block[3];
      }
      // As Pillow goes on: only a comment may consist of no block at all.
      constexpr uint8_t kComment = 0xfe;
      if (label == kComment && block.empty()) continue;
      do {
        block = blocks.TakeSubBlock();
      } while (!block.empty());
    } else if (type == ',') {
      if (!blocks.Has(9)) break;
      const auto descriptor = blocks.Take(9);
      frame->left = Read16(&descriptor[0], ByteOrder::kLittle);
      frame->top = Read16(&descriptor[2], ByteOrder::kLittle);
      frame->width = Read16(&descriptor[4], ByteOrder::kLittle);
      frame->height = Read16(&descriptor[6], ByteOrder::kLittle);
      frame->interlaced = descriptor[8] & 0x40;
      if (descriptor[8] & 0x80) {
        const auto palette = take_palette(descriptor[8]);
        if (!palette) return EndsIn("its palette");
        // Instead of one of grays Pillow takes the file's, and calls the picture gray all the same.
        const bool gray = IsGray(*palette);
        if (!gray) frame->palette = *palette;
        frame->mode = gray ? "L" : "P";
      }
      if (!blocks.Has(1)) return EndsIn("front of its data");
      frame->code_bits = blocks.Take(1)[0];
      frame->data_at = blocks.at();
      return std::nullopt;
    }
  }
  if (!blocks.Has(1)) return EndsIn("front of its first picture");
  return Refuse(Reason::kCorrupt, "no picture");
}

// The codes of the data's sub-blocks, least significant bit first.
class CodeReader {
 public:
  CodeReader(std::span<const uint8_t> file, size_t at) : file_(file), at_(at) {}

  // -1 at the end of the file. A sub-block counts only if it is whole.
  int Next(int bits) {
    while (bit_count_ < bits) {
      if (left_ > 0) {
        buffer_ |= uint32_t{file_[at_++]} << bit_count_;
        bit_count_ += 8;
        --left_;
      } else {
        if (at_ >= file_.size() || file_.size() - at_ - 1 < file_[at_]) return -1;
        left_ = file_[at_++];
      }
    }
    const uint32_t code = buffer_ & ((1u << bits) - 1);
    buffer_ >>= bits;
    bit_count_ -= bits;
    return static_cast<int>(code);
  }

 private:
  std::span<const uint8_t> file_;
  size_t at_;
  size_t left_ = 0;  // bytes of the sub-block
  uint32_t buffer_ = 0;
  int bit_count_ = 0;
};

// Puts the samples of a frame where they belong on the canvas.
class FrameWriter {
 public:
  FrameWriter(const Frame& frame, uint8_t* canvas, size_t stride)
      : frame_(frame),
        first_(canvas + static_cast<size_t>(frame.top) * stride + static_cast<size_t>(frame.left)),
        stride_(stride),
        step_(frame.interlaced ? 8 : 1) {}

  bool complete() const { return y_ >= frame_.height; }
  int64_t rows() const { return rows_; }

  // What does not fit any more is dropped.
  void Put(std::span<const uint8_t> samples) {
    while (!samples.empty() && !complete()) {
      const size_t count = std::min(samples.size(), static_cast<size_t>(frame_.width - x_));
      std::memcpy(first_ + static_cast<size_t>(y_) * stride_ + x_, samples.data(), count);
      samples = samples.subspan(count);
      x_ += static_cast<int64_t>(count);
      if (x_ == frame_.width) NextRow();
    }
  }

 private:
  void NextRow() {
    constexpr std::array<int64_t, 4> kStarts = {0, 4, 2, 1};
    x_ = 0;
    ++rows_;
    y_ += step_;
    while (y_ >= frame_.height && frame_.interlaced && pass_ < 3) {
      y_ = kStarts[++pass_];
      step_ = kStarts[pass_] * 2;
    }
  }

  const Frame& frame_;
  uint8_t* first_;
  const size_t stride_;
  int64_t x_ = 0;
  int64_t y_ = 0;
  int64_t step_;
  int64_t rows_ = 0;
  int pass_ = 0;
};

// LZW: a code stands for the string of an earlier one with one more sample behind it.
std::optional<Reject> Expand(std::span<const uint8_t> file, const Frame& frame,
                             FrameWriter* writer) {
  const int clear = 1 << frame.code_bits;
  const int end = clear + 1;
  const auto corrupt = [](const char* what) { return Refuse(Reason::kCorrupt, what); };
  std::array<uint16_t, kMaxCodes> prefix;
  std::array<uint8_t, kMaxCodes> last;  // sample of the string
  std::array<uint8_t, kMaxCodes + 1> text;
  int next = 0;  // the first code that means nothing yet
  int bits = 0;
  int previous = -1;
  uint8_t first_sample = 0;  // of the previous string
  const auto reset = [&] {
    next = clear + 2;
    bits = frame.code_bits + 1;
    previous = -1;
  };
  reset();
  CodeReader codes(file, frame.data_at);
  while (!writer->complete()) {
    const int code = codes.Next(bits);
    if (code < 0 || code == end) {
      return EndsIn("line " + std::to_string(writer->rows()) + " of " +
                    std::to_string(frame.height));
    }
    if (code == clear) {
      reset();
      continue;
    }
    if (previous < 0) {
      if (code > clear) return corrupt("a code for a string that does not exist");
      first_sample = static_cast<uint8_t>(code);
      previous = code;
      writer->Put({&first_sample, 1});
      continue;
    }
    if (code > next) return corrupt("a code for a string that does not exist");
    size_t begin = text.size();
    int rest = code;
    if (code == next) {  // the string that this code is about to define
      text[--begin] = first_sample;
      rest = previous;
    }
    while (rest >= clear) {
      if (begin <= 1 || rest >= kMaxCodes) return corrupt("a string without end");
      text[--begin] = last[rest];
      rest = prefix[rest];
    }
    first_sample = static_cast<uint8_t>(rest);
    text[--begin] = first_sample;
    if (next < kMaxCodes) {
      last[next] = first_sample;
      prefix[next] = static_cast<uint16_t>(previous);
      if (next == (1 << bits) - 1 && bits < kMaxCodeBits) ++bits;
      ++next;
    }
    previous = code;
    writer->Put(std::span(text).subspan(begin));
  }
  return std::nullopt;
}

}  // namespace

DecodeResult DecodeGif(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows) {
  if (file.size() < kScreenSize) return EndsIn("its header");
  Frame frame;
  if (auto reject = FindFrame(file, &frame)) return std::move(*reject);
  // The canvas grows where the picture does not fit, as in Pillow.
  const int64_t width =
      std::max<int64_t>(Read16(&file[6], ByteOrder::kLittle), frame.left + frame.width);
  const int64_t height =
      std::max<int64_t>(Read16(&file[8], ByteOrder::kLittle), frame.top + frame.height);
  if (auto reject = CheckSize(width, height, limits)) return std::move(*reject);
  if (frame.width == 0 || frame.height == 0) return Refuse(Reason::kCorrupt, "a frame of no size");
  if (frame.code_bits > kMaxCodeBits) {
    return Refuse(Reason::kCorrupt, "codes of " + std::to_string(frame.code_bits + 1) + " bits");
  }

  const auto stride = static_cast<size_t>(width);
  const size_t pixels = stride * static_cast<size_t>(height);
  if (auto reject = memory->Claim(width * height)) return std::move(*reject);
  uint8_t* canvas = memory->samples.Reserve(pixels);
  if (frame.width != width || frame.height != height) {
    std::memset(canvas, frame.transparent.value_or(0), pixels);
  }
  FrameWriter writer(frame, canvas, stride);
  if (auto reject = Expand(file, frame, &writer)) return std::move(*reject);

  ColorTable table = {};
  if (frame.palette.empty()) table = GrayTable(256);
  for (size_t i = 0; i < frame.palette.size(); ++i) table[i / 3][i % 3] = frame.palette[i];
  Band band(width, height, &memory->rgb, rows);
  for (int64_t y = 0; y < height; ++y, canvas += stride)
    TableToRgb(table, 8, canvas, stride, band.Next());
  band.Flush();
  return PictureInfo{.width = static_cast<int>(width),
                     .height = static_cast<int>(height),
                     .format = ImageFormat::kGif,
                     .mode = frame.mode};
}

}  // namespace pomona
