#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "codecs.h"
#include "pixels.h"
#include "pomona/decode.h"

namespace pomona {
namespace {

using std::string_view_literals::operator""sv;

// What the first bytes or the name of a file say. The name of the format where it is not read here
// (kOther).
struct Announced {
  ImageFormat format;
  std::string_view unread = {};
};

struct Signature {
  size_t offset;
  std::string_view bytes;
  Announced announced;
};

constexpr Announced Unread(std::string_view name) { return {ImageFormat::kOther, name}; }

// The first that fits counts.
constexpr auto kSignatures = std::to_array<Signature>({
    {0, "\xff\xd8\xff"sv, {ImageFormat::kJpeg}},
    {0, "\x89PNG\r\n\x1a\n"sv, {ImageFormat::kPng}},
    {0, "GIF87a"sv, {ImageFormat::kGif}},
    {0, "GIF89a"sv, {ImageFormat::kGif}},
    {0, "II*\0\x10\0\0\0CR"sv, Unread("Canon CR2")},  // in front of TIFF, whose mark it bears
    {0, "II*\0"sv, {ImageFormat::kTiff}},
    {0, "MM\0*"sv, {ImageFormat::kTiff}},
    {0, "II+\0"sv, {ImageFormat::kTiff}},  // BigTIFF
    {0, "MM\0+"sv, Unread("big-endian BigTIFF")},
    {0, "II\0*"sv, {ImageFormat::kTiff}},  // bytes swapped, which Pillow takes as well
    {0, "MM*\0"sv, {ImageFormat::kTiff}},
    {0, "\0\0\1\0"sv, {ImageFormat::kIco}},
    {0, "\0\0\0\x0cjP  \r\n\x87\n"sv, Unread("JPEG 2000")},
    {0, "\xff\x4f\xff\x51"sv, Unread("JPEG 2000")},
    {0, "\0\0\0\x0cJXL \r\n\x87\n"sv, Unread("JPEG XL")},
    {0, "\xff\x0a"sv, Unread("JPEG XL")},
    {0, "II\xbc"sv, Unread("JPEG XR")},
    {0, "\0\0\0\x0cJXS \r\n\x87\n"sv, Unread("JPEG XS")},
    {0, "\xff\x10\xff\x50"sv, Unread("JPEG XS")},
    {0, "8BPS"sv, Unread("Photoshop PSD")},
    {0, "gimp xcf"sv, Unread("GIMP XCF")},
    {0, "DDS "sv, Unread("DirectDraw Surface")},
    {0, "\xabKTX "sv, Unread("KTX texture")},
    {0, "\x76\x2f\x31\x01"sv, Unread("OpenEXR")},
    {0, "icns"sv, Unread("Apple icon")},
    {0, "qoif"sv, Unread("QOI")},
    {0, "BPG\xfb"sv, Unread("BPG")},
    {0, "FLIF"sv, Unread("FLIF")},
    {0, "\x01\xda\x00"sv, Unread("SGI")},
    {0, "\x01\xda\x01"sv, Unread("SGI")},
    {0, "\x59\xa6\x6a\x95"sv, Unread("Sun raster")},
    {0, "#?RADIANCE"sv, Unread("Radiance HDR")},
    {0, "#?RGBE"sv, Unread("Radiance HDR")},
    {0, "SDPX"sv, Unread("DPX")},
    {0, "XPDS"sv, Unread("DPX")},
    {0, "\x80\x2a\x5f\xd7"sv, Unread("Cineon")},
    {0, "SIMPLE  ="sv, Unread("FITS")},
    {128, "DICM"sv, Unread("DICOM")},
    {0, "Image type:"sv, Unread("IM")},
    {0, "/* XPM */"sv, Unread("XPM")},
    {0, "P7\n"sv, Unread("PAM")},
    {0, "PF\n"sv, Unread("color PFM")},
    {0, "PF\r"sv, Unread("color PFM")},
    {0, "PF "sv, Unread("color PFM")},
    {0, "\xb1\x68\xde\x3a"sv, Unread("DCX")},
    {0, "\x8aMNG\r\n\x1a\n"sv, Unread("MNG")},
    {0, "\x8bJNG\r\n\x1a\n"sv, Unread("JNG")},
    {0, "FUJIFILMCCD-RAW"sv, Unread("Fujifilm RAF")},
    {0, "IIRO"sv, Unread("Olympus ORF")},
    {0, "IIRS"sv, Unread("Olympus ORF")},
    {0, "MMOR"sv, Unread("Olympus ORF")},
    {0, "IIU\0"sv, Unread("Panasonic RW2")},
    {0, "FOVb"sv, Unread("Sigma X3F")},
    {0, "\0MRM"sv, Unread("Minolta MRW")},
    {6, "HEAPCCDR"sv, Unread("Canon CRW")},
});

struct Extension {
  std::string_view text;
  Announced announced;
  // Of files of quite another kind as well, so that it announces nothing, and only says what an
  // image is called that is one by its bytes.
  bool shared = false;
};

constexpr auto kExtensions = std::to_array<Extension>({
    {"jpg", {ImageFormat::kJpeg}},
    {"jpeg", {ImageFormat::kJpeg}},
    {"jpe", {ImageFormat::kJpeg}},
    {"jfif", {ImageFormat::kJpeg}},
    {"mpo", {ImageFormat::kMpo}},
    {"png", {ImageFormat::kPng}},
    {"apng", {ImageFormat::kPng}},
    {"webp", {ImageFormat::kWebp}},
    {"gif", {ImageFormat::kGif}},
    {"bmp", {ImageFormat::kBmp}},
    {"dib", {ImageFormat::kDib}},
    {"tif", {ImageFormat::kTiff}},
    {"tiff", {ImageFormat::kTiff}},
    {"pbm", {ImageFormat::kPnm}},
    {"pgm", {ImageFormat::kPnm}},
    {"ppm", {ImageFormat::kPnm}},
    {"pnm", {ImageFormat::kPnm}},
    {"pfm", {ImageFormat::kPnm}},
    {"ico", {ImageFormat::kIco}},
    {"tga", {ImageFormat::kTga}},
    {"cur", Unread("Windows cursor")},
    {"icns", Unread("Apple icon")},
    {"jp2", Unread("JPEG 2000")},
    {"j2k", Unread("JPEG 2000")},
    {"jpf", Unread("JPEG 2000")},
    {"jpx", Unread("JPEG 2000")},
    {"j2c", Unread("JPEG 2000")},
    {"jpc", Unread("JPEG 2000")},
    {"jph", Unread("JPEG 2000")},
    {"jxl", Unread("JPEG XL")},
    {"jxr", Unread("JPEG XR")},
    {"wdp", Unread("JPEG XR")},
    {"hdp", Unread("JPEG XR")},
    {"jls", Unread("JPEG-LS")},
    {"jxs", Unread("JPEG XS")},
    {"avif", Unread("AVIF")},
    {"avifs", Unread("AVIF")},
    {"heic", Unread("HEIC")},
    {"heics", Unread("HEIC")},
    {"heif", Unread("HEIF")},
    {"heifs", Unread("HEIF")},
    {"hif", Unread("HEIF")},
    {"psd", Unread("Photoshop PSD")},
    {"psb", Unread("Photoshop PSD")},
    {"xcf", Unread("GIMP XCF")},
    {"dds", Unread("DirectDraw Surface")},
    {"exr", Unread("OpenEXR")},
    {"hdr", Unread("Radiance HDR")},
    {"dpx", Unread("DPX")},
    {"cin", Unread("Cineon")},
    {"fits", Unread("FITS")},
    {"dcm", Unread("DICOM")},
    {"sgi", Unread("SGI")},
    {"pcx", Unread("PCX")},
    {"dcx", Unread("DCX")},
    {"qoi", Unread("QOI")},
    {"bpg", Unread("BPG")},
    {"flif", Unread("FLIF")},
    {"ktx", Unread("KTX texture")},
    {"ktx2", Unread("KTX texture")},
    {"mng", Unread("MNG")},
    {"jng", Unread("JNG")},
    {"pam", Unread("PAM")},
    {"ras", Unread("Sun raster")},
    {"sunras", Unread("Sun raster")},
    {"xbm", Unread("XBM")},
    {"xpm", Unread("XPM")},
    {"xwd", Unread("XWD")},
    {"im", Unread("IM")},
    // Cameras' own. Most are TIFFs by their first bytes, whose first picture is then read.
    {"dng", Unread("DNG")},
    {"cr2", Unread("Canon CR2")},
    {"cr3", Unread("Canon CR3")},
    {"crw", Unread("Canon CRW")},
    {"nef", Unread("Nikon NEF")},
    {"nrw", Unread("Nikon NRW")},
    {"arw", Unread("Sony ARW")},
    {"sr2", Unread("Sony SR2")},
    {"srf", Unread("Sony SRF")},
    {"raf", Unread("Fujifilm RAF")},
    {"orf", Unread("Olympus ORF")},
    {"rw2", Unread("Panasonic RW2")},
    {"rwl", Unread("Leica RWL")},
    {"pef", Unread("Pentax PEF")},
    {"srw", Unread("Samsung SRW")},
    {"x3f", Unread("Sigma X3F")},
    {"mrw", Unread("Minolta MRW")},
    {"iiq", Unread("Phase One IIQ")},
    {"3fr", Unread("Hasselblad 3FR")},
    {"fff", Unread("Hasselblad FFF")},
    {"erf", Unread("Epson ERF")},
    {"mef", Unread("Mamiya MEF")},
    {"kdc", Unread("Kodak KDC")},
    {"k25", Unread("Kodak K25")},
    {"mos", Unread("Leaf MOS"), true},     // Modelica's scripts
    {"dcr", Unread("Kodak DCR"), true},    // Shockwave
    {"gpr", Unread("GoPro GPR"), true},    // GNAT's projects
    {"ori", Unread("Olympus ORI"), true},  // what somebody kept of any file
    {"ptx", Unread("Pentax PTX"), true},   // CUDA's assembly
    {"rwz", Unread("Rawzor RWZ"), true},   // Outlook's rules
});

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

// A byte, a version, run lengths, a depth.
bool IsPcx(std::string_view file) {
  return file.size() >= 4 && file[0] == '\x0a' && "\0\2\3\4\5"sv.find(file[1]) != file.npos &&
         file[2] == 1 && "\1\2\4\x08"sv.find(file[3]) != file.npos;
}

// Sizes, version 7, one of three layouts, a depth.
bool IsXwd(std::string_view file) {
  return file.size() >= 16 && file.starts_with("\0\0\0"sv) &&
         static_cast<unsigned char>(file[3]) >= 100 && file.substr(4, 7) == "\0\0\0\7\0\0\0"sv &&
         file[11] <= 2 && file.substr(12, 3) == "\0\0\0"sv && file[15] >= 1 && file[15] <= 32;
}

// C source that defines two sizes and the bits.
bool IsXbm(std::string_view file) {
  return file.starts_with("#define ") && file.find("_width ") != file.npos &&
         file.find("_height ") != file.npos && file.find("_bits[") != file.npos;
}

// Of a file of boxes (ISO base media), as videos are, too: the brands say what is in it.
std::string_view BrandedFormat(std::string_view file) {
  if (file.size() < 16 || file.substr(4, 4) != "ftyp") return {};
  const size_t size = Read32(reinterpret_cast<const uint8_t*>(file.data()), ByteOrder::kBig);
  const std::string_view box = file.substr(0, std::max<size_t>(size, 12));
  const auto has_any_of = [&](std::initializer_list<std::string_view> brands) {
    for (size_t at = 8; at + 4 <= box.size(); at += at == 8 ? 8 : 4) {
      if (std::find(brands.begin(), brands.end(), box.substr(at, 4)) != brands.end()) return true;
    }
    return false;
  };
  if (has_any_of({"crx "})) return "Canon CR3";
  if (has_any_of({"avif", "avis"})) return "AVIF";
  if (has_any_of({"jp2 ", "jpx ", "jpm ", "jph "})) return "JPEG 2000";
  if (has_any_of({"jxl "})) return "JPEG XL";
  if (has_any_of({"jxs "})) return "JPEG XS";
  if (has_any_of({"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"})) return "HEIC";
  if (has_any_of({"mif1", "mif2", "mif3", "msf1", "avci", "avcs", "j2ki", "j2is", "jpgs", "vvic",
                  "vvis"})) {
    return "HEIF";
  }
  return {};
}

std::string_view View(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kSniffBytes)};
}

std::optional<Announced> AnnouncedByBytes(std::span<const uint8_t> first) {
  const std::string_view text = View(first);
  for (const Signature& signature : kSignatures) {
    if (text.size() > signature.offset &&
        text.substr(signature.offset).starts_with(signature.bytes)) {
      return signature.announced;
    }
  }
  if (text.starts_with("RIFF") && text.size() >= 12 && text.substr(8, 4) == "WEBP") {
    return Announced{ImageFormat::kWebp};
  }
  if (const std::string_view name = BrandedFormat(text); !name.empty()) return Unread(name);
  if (IsBmp(text)) return Announced{ImageFormat::kBmp};
  if (IsDib(text)) return Announced{ImageFormat::kDib};
  if (IsPnm(text)) return Announced{ImageFormat::kPnm};
  if (IsTga(first)) return Announced{ImageFormat::kTga};
  if (IsPcx(text)) return Unread("PCX");
  if (IsXwd(text)) return Unread("XWD");
  if (IsXbm(text)) return Unread("XBM");
  if (IsInterleavedTga(first)) return Unread("interleaved TGA");
  if (text.starts_with("\0\0\2\0"sv)) return Unread("Windows cursor");  // or else a TGA
  return std::nullopt;
}

// Null where it is no image's.
const Extension* ExtensionOf(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return nullptr;
  std::string extension(name.substr(dot + 1));
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto found = std::find_if(kExtensions.begin(), kExtensions.end(),
                                  [&](const Extension& known) { return known.text == extension; });
  return found == kExtensions.end() ? nullptr : &*found;
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

std::optional<ImageFormat> SniffFormat(std::span<const uint8_t> first) {
  const std::optional<Announced> announced = AnnouncedByBytes(first);
  if (!announced) return std::nullopt;
  return announced->format;
}

bool HasImageExtension(std::string_view path) {
  const Extension* extension = ExtensionOf(path);
  return extension && !extension->shared;
}

bool IsAppleDouble(std::span<const uint8_t> first) {
  return View(first).starts_with("\0\5\x16\7"sv);
}

bool IsImage(std::string_view path, std::span<const uint8_t> first) {
  return !IsAppleDouble(first) && (HasImageExtension(path) || AnnouncedByBytes(first));
}

std::string_view UnreadFormatName(std::span<const uint8_t> first, std::string_view path) {
  if (const auto announced = AnnouncedByBytes(first)) return announced->unread;
  if (const Extension* extension = ExtensionOf(path)) return extension->announced.unread;
  return {};
}

}  // namespace pomona
