#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "codecs.h"
#include "pomona/decode.h"

namespace pomona {
namespace {

using std::string_view_literals::operator""sv;

struct Signature {
  size_t offset;
  std::string_view bytes;
  ImageFormat format;
};

constexpr auto kSignatures = std::to_array<Signature>({
    {0, "\xff\xd8\xff"sv, ImageFormat::kJpeg},
    {0, "\x89PNG\r\n\x1a\n"sv, ImageFormat::kPng},
    {0, "GIF87a"sv, ImageFormat::kGif},
    {0, "GIF89a"sv, ImageFormat::kGif},
    {0, "II*\0"sv, ImageFormat::kTiff},
    {0, "MM\0*"sv, ImageFormat::kTiff},
    {0, "II+\0"sv, ImageFormat::kTiff},  // BigTIFF
    {0, "MM\0+"sv, ImageFormat::kTiff},
    {0, "II\0*"sv, ImageFormat::kTiff},  // bytes swapped, which Pillow takes as well
    {0, "MM*\0"sv, ImageFormat::kTiff},
    {0, "\0\0\1\0"sv, ImageFormat::kIco},
    {0, "\0\0\0\x0cjP  \r\n\x87\n"sv, ImageFormat::kOther},  // JPEG 2000
    {0, "\xff\x4f\xff\x51"sv, ImageFormat::kOther},          // JPEG 2000 codestream
    {0, "\0\0\0\x0cJXL \r\n\x87\n"sv, ImageFormat::kOther},  // JPEG XL
    {0, "\xff\x0a"sv, ImageFormat::kOther},                  // JPEG XL codestream
    {0, "8BPS"sv, ImageFormat::kOther},                      // Photoshop
    {0, "DDS "sv, ImageFormat::kOther},                      // DirectDraw Surface
    {0, "\x76\x2f\x31\x01"sv, ImageFormat::kOther},          // OpenEXR
    {0, "icns"sv, ImageFormat::kOther},                      // Apple icons
    {0, "qoif"sv, ImageFormat::kOther},                      // Quite OK Image
    {0, "\x01\xda\x00"sv, ImageFormat::kOther},              // SGI, verbatim
    {0, "\x01\xda\x01"sv, ImageFormat::kOther},              // SGI, run lengths
    {4, "ftypavif"sv, ImageFormat::kOther},
    {4, "ftypavis"sv, ImageFormat::kOther},
    {4, "ftypheic"sv, ImageFormat::kOther},
    {4, "ftypheix"sv, ImageFormat::kOther},
    {4, "ftypmif1"sv, ImageFormat::kOther},
});

constexpr auto kExtensions = std::to_array<std::string_view>(
    {"jpg",  "jpeg", "jpe",  "jfif", "mpo", "png", "apng", "webp", "gif",  "bmp", "dib", "tif",
     "tiff", "pbm",  "pgm",  "ppm",  "pnm", "pfm", "ico",  "cur",  "icns", "jp2", "j2k", "jxl",
     "avif", "heic", "heif", "psd",  "dds", "exr", "tga",  "sgi",  "pcx",  "qoi"});

// The header of a bitmap begins with its size: one of those that exist.
bool IsBitmapHeader(std::string_view header) {
  constexpr std::string_view kSizes = "\x0c\x10\x28\x34\x38\x40\x6c\x7c";
  return header.size() >= 4 && kSizes.find(header[0]) != std::string_view::npos &&
         header.substr(1, 3) == "\0\0\0"sv;
}

// Two letters are too few to tell.
bool IsBmp(std::string_view file) {
  return file.starts_with("BM") && file.size() >= 18 && IsBitmapHeader(file.substr(14));
}

// So is a size: there is one plane of one of the usual depths.
bool IsDib(std::string_view file) {
  if (!IsBitmapHeader(file) || file.size() < 16) return false;
  const std::string_view planes_and_bits = file.substr(file[0] == 12 ? 8 : 12, 4);
  constexpr std::string_view kBits = "\x01\x04\x08\x10\x18\x20";
  return planes_and_bits.starts_with("\1\0"sv) && planes_and_bits[3] == 0 &&
         kBits.find(planes_and_bits[2]) != std::string_view::npos;
}

bool IsPnm(std::string_view file) {
  return file.size() >= 3 && file[0] == 'P' &&
         "123456f"sv.find(file[1]) != std::string_view::npos &&
         std::isspace(static_cast<unsigned char>(file[2]));
}

}  // namespace

std::string_view FormatName(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg: return "JPEG";
    case ImageFormat::kMpo: return "MPO";
    case ImageFormat::kPng: return "PNG";
    case ImageFormat::kWebp: return "WEBP";
    case ImageFormat::kGif: return "GIF";
    case ImageFormat::kBmp: return "BMP";
    case ImageFormat::kDib: return "DIB";
    case ImageFormat::kIco: return "ICO";
    case ImageFormat::kTga: return "TGA";
    case ImageFormat::kTiff: return "TIFF";
    case ImageFormat::kPnm: return "PPM";
    case ImageFormat::kOther: return "other";
  }
  return "";
}

std::optional<ImageFormat> SniffFormat(std::span<const uint8_t> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  for (const Signature& signature : kSignatures) {
    if (text.size() > signature.offset &&
        text.substr(signature.offset).starts_with(signature.bytes)) {
      return signature.format;
    }
  }
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") {
    return ImageFormat::kWebp;
  }
  if (IsBmp(text)) return ImageFormat::kBmp;
  if (IsDib(text)) return ImageFormat::kDib;
  if (IsPnm(text)) return ImageFormat::kPnm;
  if (IsTga(file)) return ImageFormat::kTga;
  if (text.starts_with("\0\0\2\0"sv)) return ImageFormat::kOther;  // CUR, or else a TGA
  return std::nullopt;
}

bool HasImageExtension(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string extension(name.substr(dot + 1));
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

}  // namespace pomona
