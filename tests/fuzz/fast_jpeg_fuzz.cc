// Where one of our JPEG decoders takes a file, libjpeg finds no fault with it and gives its pixels.
#include "decode/by_libjpeg.h"
#include "expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto rgb = pomona::ByUs({data, size});
  if (rgb) EXPECT(rgb == pomona::ByLibjpeg({data, size}));
  return 0;
}
