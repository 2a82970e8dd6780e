// SHA-256, by nettle.
#pragma once

#include <nettle/sha2.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "hex.h"

namespace pomona {

class Sha256 {
 public:
  Sha256() { sha256_init(&context_); }

  Sha256& Add(std::span<const uint8_t> bytes) {
    sha256_update(&context_, bytes.size(), bytes.data());
    return *this;
  }

  // Text and numbers carry their length, so that neighbours cannot run into one another.
  Sha256& Add(std::string_view text) {
    Add(static_cast<int64_t>(text.size()));
    return Add(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  }
  Sha256& Add(int64_t number) {
    return Add(std::span(reinterpret_cast<const uint8_t*>(&number), sizeof number));
  }

  // REQUIRES of all three: called once, last.
  std::array<uint8_t, SHA256_DIGEST_SIZE> Digest() {
    std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
    sha256_digest(&context_, digest.size(), digest.data());
    return digest;
  }
  std::string Hex() { return pomona::Hex(Digest()); }

  // The first eight bytes, which are enough to notice any accident.
  int64_t Short() {
    int64_t number = 0;
    sha256_digest(&context_, sizeof number, reinterpret_cast<uint8_t*>(&number));
    return number;
  }

 private:
  sha256_ctx context_;
};

}  // namespace pomona
