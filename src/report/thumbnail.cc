#include "thumbnail.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it first
#include <cstdlib>
#include <variant>

#include <jpeglib.h>

#include "infer/resize.h"
#include "pomona/row_sink.h"

namespace pomona {
namespace {

constexpr int kQuality = 60;

// Beyond these a JPEG is not worth its time, or its memory: of a progressive one all coefficients
// are held.
constexpr int64_t kMaxPixels = 100'000'000;
constexpr int64_t kMaxProgressivePixels = 16'000'000;
constexpr int kMaxScans = 20;

// A picture that has to be kept whole and takes more is not worth it: on any machine, since the
// page's bytes depend on it.
constexpr int64_t kMostMemory = int64_t{64} << 20;

struct Size {
  int width = 0;
  int height = 0;
};

// The size of a thumbnail of a picture of this size.
Size Fitted(Size size) {
  const int longer = std::max(size.width, size.height);
  if (longer <= kThumbnailSide) return size;
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>((int64_t{side} * kThumbnailSide + longer / 2) / longer));
  };
  return {scaled(size.width), scaled(size.height)};
}

// Plain data: longjmp runs no destructors.
struct Errors {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is a pointer to the whole
  jmp_buf failure;
};

void SetUp(Errors* errors) {
  jpeg_std_error(&errors->base);
  errors->base.output_message = [](j_common_ptr) {};
  errors->base.error_exit = [](j_common_ptr jpeg) {
    longjmp(reinterpret_cast<Errors*>(jpeg->err)->failure, 1);
  };
}

bool IsJpeg(std::span<const uint8_t> file) {
  return file.size() > 3 && file[0] == 0xFF && file[1] == 0xD8 && file[2] == 0xFF;
}

// Decodes what there is of a JPEG, scaled down while it is decoded, to no less than twice the
// thumbnail. Rows that are not there stay gray. False: nothing is there.
bool DecodeJpeg(std::span<const uint8_t> file, std::vector<uint8_t>* pixels, Size* size) {
  Errors errors;
  jpeg_decompress_struct jpeg = {};
  jpeg.err = &errors.base;
  SetUp(&errors);
  volatile bool any = false;
  jpeg_progress_mgr progress = {};
  progress.progress_monitor = [](j_common_ptr common) {
    const auto* state = reinterpret_cast<j_decompress_ptr>(common);
    if (state->input_scan_number > kMaxScans) common->err->error_exit(common);
  };
  if (setjmp(errors.failure) == 0) {
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &progress;
    jpeg_mem_src(&jpeg, file.data(), file.size());
    jpeg_read_header(&jpeg, TRUE);
    const bool colours = jpeg.jpeg_color_space == JCS_YCbCr || jpeg.jpeg_color_space == JCS_RGB ||
                         jpeg.jpeg_color_space == JCS_GRAYSCALE;
    const auto width = static_cast<int64_t>(jpeg.image_width);
    const auto height = static_cast<int64_t>(jpeg.image_height);
    if (colours && width * height <= (jpeg.progressive_mode ? kMaxProgressivePixels : kMaxPixels)) {
      jpeg.out_color_space = JCS_RGB;
      jpeg.scale_denom = 8;
      jpeg.scale_num = static_cast<unsigned>(
          std::clamp<int64_t>((16 * kThumbnailSide - 1) / std::max(width, height) + 1, 1, 8));
      jpeg.dct_method = JDCT_ISLOW;
      jpeg_start_decompress(&jpeg);
      *size = {static_cast<int>(jpeg.output_width), static_cast<int>(jpeg.output_height)};
      const size_t row_bytes = size_t{3} * jpeg.output_width;
      pixels->assign(row_bytes * jpeg.output_height, 128);
      while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW row = pixels->data() + row_bytes * jpeg.output_scanline;
        // Where the data end, libjpeg warns and makes rows up.
        if (errors.base.num_warnings > 0 && any) break;
        jpeg_read_scanlines(&jpeg, &row, 1);
        any = true;
      }
    }
  }
  jpeg_destroy_decompress(&jpeg);
  return any;
}

// Nothing only where memory ends.
std::optional<std::vector<uint8_t>> EncodeJpeg(std::span<const uint8_t> rgb, Size size) {
  Errors errors;
  jpeg_compress_struct jpeg = {};
  jpeg.err = &errors.base;
  SetUp(&errors);
  unsigned char* buffer = nullptr;
  unsigned long bytes = 0;
  volatile bool done = false;
  if (setjmp(errors.failure) == 0) {
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &buffer, &bytes);
    jpeg.image_width = static_cast<JDIMENSION>(size.width);
    jpeg.image_height = static_cast<JDIMENSION>(size.height);
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, kQuality, TRUE);
    jpeg.dct_method = JDCT_ISLOW;
    jpeg.optimize_coding = TRUE;  // a third of so small a file would be tables
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
      const uint8_t* line = rgb.data() + size_t{3} * jpeg.image_width * jpeg.next_scanline;
      JSAMPROW row = const_cast<JSAMPROW>(line);
      jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    done = true;
  }
  jpeg_destroy_compress(&jpeg);
  std::optional<std::vector<uint8_t>> file;
  if (done) file.emplace(buffer, buffer + bytes);
  std::free(buffer);
  return file;
}

// Takes a picture of any size and makes a thumbnail of it.
class Shrinking : public RowSink {
 public:
  void Begin(int width, int height) override {
    size_ = Fitted({width, height});
    resizer_.emplace(size_.width, size_.height);
    resizer_->Begin(width, height);
  }
  void Add(const uint8_t* rows, int count) noexcept override { resizer_->Add(rows, count); }

  Size size() const { return size_; }
  std::span<const uint8_t> picture() const { return resizer_->picture(); }

 private:
  Size size_;
  std::optional<Resizer> resizer_;
};

}  // namespace

std::optional<std::vector<uint8_t>> Thumbnailer::Make(std::span<const uint8_t> file) {
  Size size;
  Shrinking thumbnail;
  if (IsJpeg(file) && DecodeJpeg(file, &pixels_, &size)) {
    thumbnail.Begin(size.width, size.height);
    thumbnail.Add(pixels_.data(), size.height);
  } else {
    if (!decoder_) {
      memory_ = std::make_unique<MemoryBudget>(kMostMemory, MemoryBudget::Excess::kRefused);
      decoder_ = std::make_unique<Decoder>(DecodeLimits(), memory_.get());
    }
    const auto decoded = decoder_->Decode(file, &thumbnail);
    if (!std::holds_alternative<PictureInfo>(decoded)) return std::nullopt;
  }
  return EncodeJpeg(thumbnail.picture(), thumbnail.size());
}

}  // namespace pomona
