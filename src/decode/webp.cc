#include <webp/decode.h>
#include <webp/demux.h>

#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "codecs.h"
#include "pixels.h"

namespace pomona {
namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

// libwebp remembers every frame, and a frame may be as short as its header.
int64_t CountFrames(std::span<const uint8_t> file) {
  constexpr size_t kRiffHeaderSize = 12;
  constexpr size_t kChunkHeaderSize = 8;
  int64_t frames = 0;
  size_t at = kRiffHeaderSize;
  while (at < file.size() && file.size() - at >= kChunkHeaderSize) {
    if (std::memcmp(&file[at], "ANMF", 4) == 0) ++frames;
    const size_t size = Read32(&file[at + 4], ByteOrder::kLittle);
    at += kChunkHeaderSize + size + size % 2;
  }
  return frames;
}

// Throws std::bad_alloc where that is what it was.
Reject Explain(VP8StatusCode status) {
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED: return Refuse(Reason::kTruncated, "the file ends in its pixels");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return Refuse(Reason::kUnsupportedFormat, "a feature that libwebp does not know");
    default: return Refuse(Reason::kCorrupt, "its bit stream is broken");
  }
}

}  // namespace

DecodeResult DecodeWebp(std::span<const uint8_t> file, const DecodeLimits& limits,
                        Workspace* memory, RowSink* rows) {
  if (const int64_t frames = CountFrames(file); frames > limits.max_frames) {
    return Refuse(Reason::kTooLarge, std::to_string(frames) + " frames, more than the limit of " +
                                         std::to_string(limits.max_frames));
  }
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return Refuse(Reason::kUnsupportedFormat, "another libwebp");
  const VP8StatusCode features = WebPGetFeatures(file.data(), file.size(), &config.input);
  const bool alpha = config.input.has_alpha;

  const WebPData data = {file.data(), file.size()};
  WebPDemuxState state;
  const std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer(WebPDemuxPartial(&data, &state));
  if (state != WEBP_DEMUX_DONE) {
    if (features != VP8_STATUS_OK) return Explain(features);
    return Explain(state == WEBP_DEMUX_PARSE_ERROR ? VP8_STATUS_BITSTREAM_ERROR
                                                   : VP8_STATUS_NOT_ENOUGH_DATA);
  }
  const int64_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const int64_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  if (auto reject = CheckSize(width, height, limits)) return std::move(*reject);
  // Beside the canvas libwebp holds a picture without loss once more, with alpha; of one with loss its
  // alpha alone, which may be compressed as a picture without loss is and be held like one then.
  constexpr int kWithLoss = 1;
  const int64_t held = config.input.format == kWithLoss ? (alpha ? 1 + 4 : 0) : 4;
  if (auto reject = memory->Claim(width * height * (3 + held))) return std::move(*reject);
  WebPIterator frame;
  if (!WebPDemuxGetFrame(demuxer.get(), 1, &frame)) return Refuse(Reason::kCorrupt, "no picture");

  // The first frame of an animation may cover less than the canvas; the demuxer made sure that it
  // does not cover more.
  const size_t stride = static_cast<size_t>(width) * 3;
  const size_t bytes = stride * static_cast<size_t>(height);
  uint8_t* canvas = memory->rgb.Reserve(bytes);
  if (frame.width != width || frame.height != height) std::memset(canvas, 0, bytes);
  const size_t offset =
      static_cast<size_t>(frame.y_offset) * stride + static_cast<size_t>(frame.x_offset) * 3;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {
      .rgba = canvas + offset, .stride = static_cast<int>(stride), .size = bytes - offset};
  const VP8StatusCode status = WebPDecode(frame.fragment.bytes, frame.fragment.size, &config);
  WebPFreeDecBuffer(&config.output);
  WebPDemuxReleaseIterator(&frame);
  if (status != VP8_STATUS_OK) return Explain(status);
  rows->Begin(static_cast<int>(width), static_cast<int>(height));
  rows->Add(canvas, static_cast<int>(height));
  return PictureInfo{.width = static_cast<int>(width),
                     .height = static_cast<int>(height),
                     .format = ImageFormat::kWebp,
                     .mode = alpha ? "RGBA" : "RGB"};
}

}  // namespace pomona
