// What an XZ stream, as in a TIFF of LZMA, asks for.
#pragma once

#include <cstdint>
#include <span>

namespace pomona {

// Bytes of the dictionary that its first block is expanded with, which liblzma takes whole; 0 where
// the stream does not say.
uint64_t XzDictionaryBytes(std::span<const uint8_t> stream);

}  // namespace pomona
