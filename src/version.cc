#include "pomona/version.h"

#include <arrow/config.h>
#include <lcms2.h>
#include <nettle/version.h>
#include <png.h>
#include <tiffio.h>
#include <webp/decode.h>

#include <Eigen/Core>
#include <nlohmann/json.hpp>
#include <string_view>

#include "libjpeg.h"

#define POMONA_TEXT_OF(x) #x
#define POMONA_TEXT(x) POMONA_TEXT_OF(x)

namespace pomona {
namespace {

// That of the headers, unless the process has found another library than theirs.
std::string LibjpegTurboVersion() {
  constexpr int kMajor = LIBJPEG_TURBO_VERSION_NUMBER / 1'000'000;
  const int loaded = IsLibjpegTurbo3() ? 3 : 2;
  return loaded == kMajor ? POMONA_TEXT(LIBJPEG_TURBO_VERSION) : std::to_string(loaded);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> LibraryVersions() {
  const auto dotted = [](int major, int minor, int patch) {
    return std::to_string(major) + '.' + std::to_string(minor) + '.' + std::to_string(patch);
  };
  // "LIBTIFF, Version 4.5.0" and the copyright on lines of their own.
  const std::string_view tiff = TIFFGetVersion();
  const size_t tiff_version = tiff.find_last_of(' ', tiff.find('\n')) + 1;
  const int webp = WebPGetDecoderVersion();
  const int lcms = cmsGetEncodedCMMversion();
  return {
      {"arrow", arrow::GetBuildInfo().version_string},
      {"eigen", dotted(EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION)},
      {"highway", POMONA_HIGHWAY_VERSION},
      {"lcms2", std::to_string(lcms / 1000) + '.' + std::to_string(lcms / 10 % 100)},
      {"libjpeg-turbo", LibjpegTurboVersion()},
      {"libpng", png_get_libpng_ver(nullptr)},
      {"libtiff", std::string(tiff.substr(tiff_version, tiff.find('\n') - tiff_version))},
      {"libwebp", dotted(webp >> 16, webp >> 8 & 255, webp & 255)},
      {"nettle",
       std::to_string(nettle_version_major()) + '.' + std::to_string(nettle_version_minor())},
      {"nlohmann-json", dotted(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                               NLOHMANN_JSON_VERSION_PATCH)},
#ifdef POMONA_OPENVINO_VERSION
      {"openvino", POMONA_OPENVINO_VERSION},
#endif
  };
}

}  // namespace pomona
