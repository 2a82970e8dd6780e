#include "s3/sso_token.h"

#include <fcntl.h>
#include <nettle/sha1.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <map>
#include <mutex>
#include <utility>

#include "environment.h"
#include "hex.h"
#include "json.h"
#include "s3/answers.h"
#include "s3/signature.h"

namespace pomona {
namespace {

using nlohmann::json;
using Clock = std::chrono::system_clock;

// As AWS' tools.
constexpr std::chrono::minutes kAhead{15};
constexpr std::chrono::minutes kPause{1};  // after a failure

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

// In its place, as AWS' tools do: it stays its owner's, and a link a link. False where it cannot be.
bool Store(const std::string& path, const json& cached) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  std::string text = JsonText(cached);
  // By one call, padded with blanks where the old text was longer: others may be reading.
  struct stat before{};
  const bool known = fstat(file, &before) == 0;
  text.resize(std::max(text.size(), static_cast<size_t>(before.st_size)), ' ');
  const bool written = known && write(file, text.data(), text.size()) == std::ssize(text);
  return close(file) == 0 && written;
}

// The one that expires later. Both times are AWS' tools' or ours, of one form.
json Later(json one, json other) {
  return JsonString(other, "expiresAt") > JsonString(one, "expiresAt") ? other : one;
}

// With a fresh token. Errors: IOError, which says why there is none.
arrow::Result<json> Refreshed(json cached, const std::string& region, const AskService& ask) {
  json wanted = {{"grantType", "refresh_token"}};
  for (const char* name : {"clientId", "clientSecret", "refreshToken"}) {
    wanted[name] = JsonString(cached, name);
    if (wanted[name] == "") return arrow::Status::IOError("it has no ", name);
  }
  // Without a time it would be for ever.
  const std::string registered_until = JsonString(cached, "registrationExpiresAt");
  if (registered_until.empty() || !Lasts(registered_until, {})) {
    return arrow::Status::IOError("the registration of AWS' tools has ended");
  }
  ARROW_ASSIGN_OR_RAISE(const HttpUrl url,
                        ParseHttpUrl(FirstOf(Environment("AWS_ENDPOINT_URL_SSO_OIDC"),
                                             "https://oidc." + region + '.' + AwsDomain(region)) +
                                     "/token"));
  const std::string body = JsonText(wanted);
  HttpRequest request;
  request.method = "POST";
  request.headers.emplace_back("content-type", "application/json");
  request.body = {reinterpret_cast<const uint8_t*>(body.data()), body.size()};
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, ask(url, std::move(request)));
  const json given = ParseJson(answer.text());
  const std::string token = JsonString(given, "accessToken");
  if (token.empty() || !given.contains("expiresIn") || !given["expiresIn"].is_number_integer()) {
    return arrow::Status::IOError(url.server.Url(), " says: HTTP status ", answer.status, ' ',
                                  JsonString(given, "error"));
  }
  cached["accessToken"] = token;
  cached["expiresAt"] =
      UtcText(Clock::now() + std::chrono::seconds(given["expiresIn"].get<int32_t>()));
  if (const std::string next = JsonString(given, "refreshToken"); !next.empty()) {
    cached["refreshToken"] = next;
  }
  return cached;
}

// The tokens that this process had refreshed, in files that it may not write, and the refusals. A
// refresh token may serve once: one thread of all asks.
struct Refreshes {
  std::mutex mutex;
  std::map<std::string, json> fresh;  // by path
  std::string refused;                // a refresh token
  Clock::time_point again;            // and when to try it once more
  arrow::Status why;
};

}  // namespace

arrow::Result<SsoToken> GetSsoToken(const ProfileSettings& settings, const AskService& ask) {
  // Newer profiles have their session in a section of its own.
  const std::string name = Setting(settings, "sso_session");
  ProfileSettings session = settings;
  if (!name.empty()) {
    auto section = SsoSession(name);
    if (!section)
      return arrow::Status::IOError("there is no [sso-session ", name, "] in ", ConfigFile());
    session = *std::move(section);
  }
  const std::string region = Setting(session, "sso_region");
  if (region.empty())
    return arrow::Status::IOError("single sign-on has no sso_region in ", ConfigFile());
  const std::string path = TokenPath(FirstOf(name, Setting(session, "sso_start_url")));

  static Refreshes refreshes;
  const std::lock_guard lock(refreshes.mutex);
  json cached = Later(refreshes.fresh[path], ParseJson(ReadText(path)));
  arrow::Status failed;
  if (!name.empty() && cached.is_object() && !Lasts(JsonString(cached, "expiresAt"), kAhead)) {
    const std::string refresh_token = JsonString(cached, "refreshToken");
    if (refreshes.refused != refresh_token || Clock::now() >= refreshes.again) {
      auto fresh = Refreshed(cached, region, ask);
      if (fresh.ok()) {
        cached = *std::move(fresh);
        if (!Store(path, cached)) refreshes.fresh[path] = cached;
      } else {
        refreshes.refused = refresh_token;
        refreshes.again = Clock::now() + kPause;
        refreshes.why = fresh.status();
        // Another process may have had it refreshed meanwhile.
        cached = Later(std::move(cached), ParseJson(ReadText(path)));
      }
    }
    if (refreshes.refused == refresh_token) failed = refreshes.why;
  }
  const std::string token = JsonString(cached, "accessToken");
  if (token.empty() || !Lasts(JsonString(cached, "expiresAt"), {})) {
    const std::string why =
        failed.ok() ? "" : " and cannot be refreshed (" + failed.message() + ")";
    return arrow::Status::IOError("the single sign-on of the profile has expired", why,
                                  ": call `aws sso login`");
  }
  return SsoToken{token, region};
}

}  // namespace pomona
