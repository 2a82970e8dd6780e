// AWS' signature, version 4, of a request.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "s3/http.h"

namespace pomona {

// Whom requests are from. Nobody, where the id of the key is empty.
struct Credentials {
  std::string key_id;
  std::string secret;
  std::string token;  // of a session; may be empty

  // From then on they are worth nothing.
  std::chrono::system_clock::time_point expires = std::chrono::system_clock::time_point::max();
};

// Bytes as they stand in a path or a query: all but letters, digits and -._~ become %HH; slashes
// too, unless they are kept.
std::string UrlEncode(std::string_view text, bool keep_slashes = false);

std::string HexSha256(std::span<const uint8_t> bytes);

// Where the services of a region are.
std::string AwsDomain(std::string_view region);

// A time as the signature has it: 20130524T000000Z.
std::string AmzDate(std::chrono::system_clock::time_point time);

// Adds x-amz-date, x-amz-content-sha256, the session's token and the authorization.
// REQUIRES: the target's path is encoded, its query too, and sorted.
void Sign(const Credentials& credentials, std::string_view region, std::string_view service,
          std::chrono::system_clock::time_point now, const HttpServer& server,
          HttpRequest* request);

}  // namespace pomona
