#include "lab.h"

#include <lcms2.h>

#include <algorithm>
#include <array>
#include <new>

namespace pomona {
namespace {

// Threads: Little CMS allows any number of them to use a transform that keeps no last pixel.
cmsHTRANSFORM MakeTransform() {
  constexpr double kTemperature = 5000;  // of white, in kelvin
  cmsCIExyY white;
  cmsWhitePointFromTemp(&white, kTemperature);
  const cmsHPROFILE lab = cmsCreateLab2Profile(&white);
  const cmsHPROFILE srgb = cmsCreate_sRGBProfile();
  const cmsHTRANSFORM transform =
      cmsCreateTransform(lab, COLORSPACE_SH(PT_LabV2) | CHANNELS_SH(3) | BYTES_SH(1), srgb,
                         TYPE_RGB_8, INTENT_PERCEPTUAL, cmsFLAGS_NOCACHE);
  cmsCloseProfile(lab);
  cmsCloseProfile(srgb);
  if (transform == nullptr) throw std::bad_alloc();
  return transform;
}

}  // namespace

void LabToRgb(const uint8_t* lab, size_t width, uint8_t* rgb) {
  static const cmsHTRANSFORM transform = MakeTransform();  // lives as long as the program
  std::array<uint8_t, 3 * 256> unsigned_lab;
  for (size_t x = 0; x < width;) {
    const size_t count = std::min<size_t>(width - x, 256);
    for (size_t i = 0; i < 3 * count; ++i) {
      unsigned_lab[i] = lab[3 * x + i] ^ (i % 3 == 0 ? 0 : 0x80);
    }
    cmsDoTransform(transform, unsigned_lab.data(), rgb + 3 * x, static_cast<uint32_t>(count));
    x += count;
  }
}

}  // namespace pomona
