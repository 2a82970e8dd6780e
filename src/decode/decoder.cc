#include <algorithm>
#include <cstring>

#include "codecs.h"
#include "pomona/decode.h"

namespace pomona {

std::optional<Reject> CheckSize(int64_t width, int64_t height, const DecodeLimits& limits) {
  if (width <= 0 || height <= 0) return Refuse(Reason::kCorrupt, "zero-sized image");
  const bool too_many = width > limits.max_pixels / height;  // a product might overflow
  if (!too_many && std::max(width, height) <= limits.max_side) return std::nullopt;
  return Refuse(Reason::kTooLarge,
                std::to_string(width) + " x " + std::to_string(height) +
                    " pixels, more than the limit of " +
                    (too_many ? std::to_string(limits.max_pixels)
                              : std::to_string(limits.max_side) + " in a row or column"));
}

Band::Band(int64_t width, int64_t height, Buffer* memory, RowSink* sink)
    : stride_(static_cast<size_t>(width) * 3),
      capacity_(static_cast<int>(std::min<int64_t>(height, RowsAtOnce(width)))),
      pixels_(memory->Reserve(stride_ * static_cast<size_t>(capacity_) + kPadding)),
      sink_(sink) {
  sink->Begin(static_cast<int>(width), static_cast<int>(height));
}

void WholePicture::Begin(int width, int height) {
  width_ = width;
  height_ = height;
  rows_ = 0;
  pixels_ = memory_->Reserve(bytes());
}

void WholePicture::Add(const uint8_t* rows, int count) noexcept {
  const size_t stride = size_t{3} * static_cast<size_t>(width_);
  std::memcpy(pixels_ + stride * static_cast<size_t>(rows_), rows,
              stride * static_cast<size_t>(count));
  rows_ += count;
}

std::optional<Reject> Workspace::Claim(int64_t bytes) {
  if (pictures_ == nullptr || bytes <= kUncountedBytes) return std::nullopt;
  if (auto claim = pictures_->Take(bytes)) {
    claim_ = *std::move(claim);
    return std::nullopt;
  }
  return Refuse(Reason::kTooLarge, "decoding it takes " + std::to_string(bytes >> 20) +
                                       " MiB, more than the " +
                                       std::to_string(pictures_->bytes() >> 20) +
                                       " MiB that pictures may take, half of --memory");
}

void Workspace::Release() {
  if (!claim_) return;
  rgb.Drop();
  samples.Drop();
  claim_ = {};
}

namespace {

// Says of which camera's format a TIFF is that is not read, as far as its name tells.
DecodeResult Named(DecodeResult result, std::string_view path) {
  auto* const reject = std::get_if<Reject>(&result);
  if (!reject || reject->reason != Reason::kUnsupportedFormat) return result;
  if (const std::string_view name = UnreadFormatName({}, path); !name.empty()) {
    reject->message = std::string(name) + " images are not read: " + reject->message;
  }
  return result;
}

}  // namespace

class Decoder::Impl {
 public:
  Impl(const DecodeLimits& limits, MemoryBudget* pictures, int scaled_side)
      : limits_(limits), scaled_side_(scaled_side), memory_(pictures) {}

  Buffer whole;  // of a picture that is asked for at once

  DecodeResult Decode(std::span<const uint8_t> file, RowSink* rows, std::string_view path) {
    const std::unique_ptr<Workspace, void (*)(Workspace*)> release(
        &memory_, [](Workspace* memory) { memory->Release(); });
    if (file.empty()) return Refuse(Reason::kEmpty, "the file has no bytes");
    switch (SniffFormat(file).value_or(ImageFormat::kOther)) {
      case ImageFormat::kJpeg:
      case ImageFormat::kMpo: return DecodeJpeg(file, limits_, scaled_side_, &memory_, rows);
      case ImageFormat::kPng: return DecodePng(file, limits_, &memory_, rows);
      case ImageFormat::kWebp: return DecodeWebp(file, limits_, &memory_, rows);
      case ImageFormat::kGif: return DecodeGif(file, limits_, &memory_, rows);
      case ImageFormat::kDib: return DecodeDib(file, limits_, &memory_, rows);
      case ImageFormat::kIco: return DecodeIco(file, limits_, &memory_, rows);
      case ImageFormat::kTga: return DecodeTga(file, limits_, &memory_, rows);
      case ImageFormat::kBmp: return DecodeBmp(file, limits_, &memory_, rows);
      case ImageFormat::kTiff: return Named(DecodeTiff(file, limits_, &memory_, rows), path);
      case ImageFormat::kPnm: return DecodePnm(file, limits_, &memory_, rows);
      case ImageFormat::kOther: break;
    }
    if (IsAppleDouble(file)) {
      return Refuse(Reason::kCorrupt, "an AppleDouble file, which holds metadata of another file");
    }
    if (const std::string_view name = UnreadFormatName(file, path); !name.empty()) {
      return Refuse(Reason::kUnsupportedFormat, std::string(name) + " images are not read");
    }
    return Refuse(Reason::kCorrupt, "unrecognized image signature");
  }

 private:
  const DecodeLimits limits_;
  const int scaled_side_;
  Workspace memory_;
};

Decoder::Decoder(const DecodeLimits& limits, MemoryBudget* pictures, int scaled_side)
    : impl_(std::make_unique<Impl>(limits, pictures, scaled_side)) {}
Decoder::~Decoder() = default;

DecodeResult Decoder::Decode(std::span<const uint8_t> file, RowSink* rows, std::string_view path) {
  return impl_->Decode(file, rows, path);
}

std::variant<Picture, Reject> Decoder::Decode(std::span<const uint8_t> file) {
  WholePicture whole(&impl_->whole);
  DecodeResult result = impl_->Decode(file, &whole, {});
  if (Reject* reject = std::get_if<Reject>(&result)) return std::move(*reject);
  PictureInfo info = std::get<PictureInfo>(result);
  info.width = whole.width();
  info.height = whole.height();
  return Picture{info, whole.rgb()};
}

}  // namespace pomona
