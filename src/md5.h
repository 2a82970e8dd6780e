// MD5, by nettle: for what S3 calls a digest.
#pragma once

#include <nettle/md5.h>

#include <array>
#include <cstdint>
#include <span>

namespace pomona {

inline std::array<uint8_t, MD5_DIGEST_SIZE> Md5(std::span<const uint8_t> bytes) {
  md5_ctx context;
  md5_init(&context);
  md5_update(&context, bytes.size(), bytes.data());
  std::array<uint8_t, MD5_DIGEST_SIZE> digest;
  md5_digest(&context, digest.size(), digest.data());
  return digest;
}

}  // namespace pomona
