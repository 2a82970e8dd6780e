#include "s3/sso_token.h"

#include <fcntl.h>
#include <nettle/sha1.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "environment.h"
#include "hex.h"
#include "json.h"
#include "s3/answers.h"

namespace pomona {
namespace {

using Clock = std::chrono::system_clock;

// As AWS' tools.
constexpr std::chrono::minutes kAhead{15};

// Of a session's name or a start URL.
std::string TokenPath(const std::string& key) {
  sha1_ctx context;
  sha1_init(&context);
  sha1_update(&context, key.size(), reinterpret_cast<const uint8_t*>(key.data()));
  uint8_t digest[SHA1_DIGEST_SIZE];
  sha1_digest(&context, sizeof digest, digest);
  return Environment("HOME") + "/.aws/sso/cache/" + Hex(digest) + ".json";
}

// Whether it is good for so long.
bool Lasts(const std::string& expiry, Clock::duration span) {
  const auto expires = ParseExpiry(expiry);
  return expires.ok() && *expires > Clock::now() + span;
}

std::string UtcText(Clock::time_point time) {
  const std::time_t seconds = Clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// Whole, or as it was: AWS' tools read it too. Nobody else may.
void Store(const std::string& path, const nlohmann::json& cached) {
  std::string temporary = path + ".XXXXXX";
  const int file = mkostemp(temporary.data(), O_CLOEXEC);  // of mode 0600
  if (file < 0) return;
  const std::string text = JsonText(cached);
  const bool written = write(file, text.data(), text.size()) == std::ssize(text);
  close(file);
  if (!written || rename(temporary.c_str(), path.c_str()) != 0) unlink(temporary.c_str());
}

// A fresh token in place of the one in `cached`; nothing where none is given.
std::optional<nlohmann::json> Refreshed(nlohmann::json cached, const std::string& region,
                                        const AskService& ask) {
  nlohmann::json wanted = {{"grantType", "refresh_token"}};
  for (const char* name : {"clientId", "clientSecret", "refreshToken"}) {
    wanted[name] = JsonString(cached, name);
    if (wanted[name] == "") return std::nullopt;
  }
  // Without a time it would be for ever.
  const std::string registered_until = JsonString(cached, "registrationExpiresAt");
  if (registered_until.empty() || !Lasts(registered_until, {})) return std::nullopt;

  const auto url = ParseHttpUrl(FirstOf(Environment("AWS_ENDPOINT_URL_SSO_OIDC"),
                                        "https://oidc." + region + ".amazonaws.com") +
                                "/token");
  if (!url.ok()) return std::nullopt;
  const std::string body = JsonText(wanted);
  HttpRequest request;
  request.method = "POST";
  request.headers.emplace_back("content-type", "application/json");
  request.body = {reinterpret_cast<const uint8_t*>(body.data()), body.size()};
  const auto answer = ask(*url, std::move(request));
  if (!answer.ok() || !answer->ok()) return std::nullopt;
  const nlohmann::json given = ParseJson(answer->text());
  const std::string token = JsonString(given, "accessToken");
  if (token.empty() || !given.contains("expiresIn") || !given["expiresIn"].is_number_integer()) {
    return std::nullopt;
  }
  cached["accessToken"] = token;
  cached["expiresAt"] =
      UtcText(Clock::now() + std::chrono::seconds(given["expiresIn"].get<int32_t>()));
  if (const std::string next = JsonString(given, "refreshToken"); !next.empty()) {
    cached["refreshToken"] = next;
  }
  return cached;
}

}  // namespace

arrow::Result<SsoToken> GetSsoToken(const ProfileSettings& settings, const AskService& ask) {
  // Newer profiles have their session in a section of its own.
  const std::string name = Setting(settings, "sso_session");
  const ProfileSettings session =
      name.empty() ? settings : SsoSession(name).value_or(ProfileSettings());
  const std::string region = Setting(session, "sso_region");
  const std::string path = TokenPath(FirstOf(name, Setting(session, "sso_start_url")));
  nlohmann::json cached = ParseJson(ReadText(path));
  if (!name.empty() && cached.is_object() && !Lasts(JsonString(cached, "expiresAt"), kAhead)) {
    if (auto fresh = Refreshed(cached, region, ask)) {
      cached = *std::move(fresh);
      Store(path, cached);
    }
  }
  const std::string token = JsonString(cached, "accessToken");
  if (token.empty() || !Lasts(JsonString(cached, "expiresAt"), {})) {
    return arrow::Status::IOError("the single sign-on of the profile has expired: call `aws sso ",
                                  "login`");
  }
  return SsoToken{token, region};
}

}  // namespace pomona
