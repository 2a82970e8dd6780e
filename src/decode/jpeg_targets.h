// The instruction sets that our JPEG decoders are compiled for: to be included in front of Highway.
#pragma once

// AVX-512 and whatever came after it has little to gain where most of the time goes into bits. SVE's
// and RVV's vectors may be longer than 128-bit blocks but do not interleave by blocks.
#define HWY_DISABLED_TARGETS \
  (((HWY_AVX3 << 1) - 1) | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
