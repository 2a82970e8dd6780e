#include "s3/signature.h"

#include <nettle/hmac.h>
#include <nettle/sha2.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "hex.h"

namespace pomona {
namespace {

using Digest = std::array<uint8_t, SHA256_DIGEST_SIZE>;

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Digest Hmac(std::span<const uint8_t> key, std::string_view text) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), key.data());
  hmac_sha256_update(&context, text.size(), Bytes(text).data());
  Digest digest;
  hmac_sha256_digest(&context, digest.size(), digest.data());
  return digest;
}

// The key for a day's requests to a service. One is remembered a thread: it takes four digests.
const Digest& SigningKey(const std::string& secret, std::string_view scope, std::string_view day,
                         std::string_view region, std::string_view service) {
  struct Key {
    std::string secret, scope;
    Digest digest;
  };
  thread_local Key last;
  if (last.secret != secret || last.scope != scope || secret.empty()) {
    Digest digest = Hmac(Bytes("AWS4" + secret), day);
    for (const std::string_view part : {region, service, std::string_view("aws4_request")}) {
      digest = Hmac(digest, part);
    }
    last = {secret, std::string(scope), digest};
  }
  return last.digest;
}

}  // namespace

std::string UrlEncode(std::string_view text, bool keep_slashes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slashes);
    if (plain) {
      encoded += c;
    } else {
      const auto byte = static_cast<uint8_t>(c);
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

std::string HexSha256(std::span<const uint8_t> bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), bytes.data());
  Digest digest;
  sha256_digest(&context, digest.size(), digest.data());
  return Hex(digest);
}

std::string AmzDate(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
  return text;
}

std::string AwsDomain(std::string_view region) {
  return region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
}

void Sign(const Credentials& credentials, std::string_view region, std::string_view service,
          std::chrono::system_clock::time_point now, const HttpServer& server,
          HttpRequest* request) {
  static const std::string kNoBody = HexSha256({});
  const std::string body = request->body.empty() ? kNoBody : HexSha256(request->body);
  const std::string date = AmzDate(now);
  const std::string_view day = std::string_view(date).substr(0, 8);
  HttpHeaders& headers = request->headers;
  headers.emplace_back("x-amz-date", date);
  headers.emplace_back("x-amz-content-sha256", body);
  if (!credentials.token.empty()) {
    headers.emplace_back("x-amz-security-token", credentials.token);
  }

  const std::string host = server.Authority();
  std::vector<std::pair<std::string_view, std::string_view>> sorted(headers.begin(), headers.end());
  sorted.emplace_back("host", host);
  std::ranges::sort(sorted);
  std::string names;
  for (const auto& [name, value] : sorted) {
    if (!names.empty()) names += ';';
    names += name;
  }
  const size_t query = std::min(request->target.find('?'), request->target.size());
  std::string canonical;
  canonical.reserve(1024);
  canonical += request->method;
  canonical += '\n';
  canonical.append(request->target, 0, query);
  canonical += '\n';
  if (query < request->target.size()) canonical.append(request->target, query + 1);
  canonical += '\n';
  for (const auto& [name, value] : sorted) {
    canonical += name;
    canonical += ':';
    canonical += value;
    canonical += '\n';
  }
  canonical += '\n';
  canonical += names;
  canonical += '\n';
  canonical += body;

  std::string scope(day);
  for (const std::string_view part : {region, service, std::string_view("aws4_request")}) {
    scope += '/';
    scope += part;
  }
  const Digest& key = SigningKey(credentials.secret, scope, day, region, service);
  const Digest signature =
      Hmac(key, "AWS4-HMAC-SHA256\n" + date + '\n' + scope + '\n' + HexSha256(Bytes(canonical)));
  headers.emplace_back("authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.key_id + '/' +
                                            scope + ", SignedHeaders=" + names +
                                            ", Signature=" + Hex(signature));
}

}  // namespace pomona
