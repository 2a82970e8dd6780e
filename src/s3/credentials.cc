#include "s3/credentials.h"

#include <algorithm>
#include <utility>

#include "environment.h"
#include "json.h"
#include "s3/answers.h"
#include "s3/process.h"
#include "s3/profile.h"
#include "s3/sso_token.h"

namespace pomona {
namespace {

using nlohmann::json;
using SystemClock = std::chrono::system_clock;

// What expires sooner is renewed.
constexpr std::chrono::minutes kAhead{5};
constexpr std::chrono::seconds kPause{30};         // between renewals
constexpr std::chrono::seconds kShortPause{1};     // where requests wait for them
constexpr std::chrono::seconds kProcessLimit{60};  // as in AWS' SDK for Go
constexpr int kMostProfiles = 8;                   // each the source of another one

std::string NoSuchProfile(const std::string& name) {
  return "there is no profile '" + name + "' in " + CredentialsFile() + " and " + ConfigFile();
}

// As containers, instances and processes give them.
arrow::Result<Credentials> ParseCredentials(const std::string& from, std::string_view text,
                                            const char* token_name) {
  const json object = ParseJson(text);
  Credentials found{JsonString(object, "AccessKeyId"), JsonString(object, "SecretAccessKey"),
                    JsonString(object, token_name)};
  if (found.key_id.empty() || found.secret.empty()) {
    return arrow::Status::IOError(from, " gives no credentials");
  }
  ARROW_ASSIGN_OR_RAISE(found.expires, ParseExpiry(JsonString(object, "Expiration")));
  return found;
}

arrow::Result<Credentials> OfProcess(const std::string& command) {
  // Its arguments may be secret, and so may variables before it. A path in quotes may have spaces.
  std::string program = command.substr(0, command.find_first_of(" \t"));
  if (program.find_first_of("='\"") != std::string::npos) program = "its command";
  auto text = OutputOf(command, kProcessLimit);
  if (text.status().IsCancelled()) {
    return arrow::Status::IOError("the credential_process of the profile was killed after ",
                                  std::chrono::seconds(kProcessLimit).count(),
                                  " seconds: ", program,
                                  "; run it in a shell to see what it is waiting for");
  }
  if (!text.ok()) {
    return arrow::Status::IOError("the credential_process of the profile failed: ", program, ": ",
                                  text.status().message());
  }
  return ParseCredentials("the credential_process of the profile", *text, "SessionToken");
}

std::string StsRegion() {
  std::string region = FirstOf(Environment("AWS_REGION"), Environment("AWS_DEFAULT_REGION"));
  return FirstOf(std::move(region), Setting(ChosenProfile(), "region"));
}

}  // namespace

std::optional<arrow::Result<Credentials>> CredentialsChain::Known(bool looked_for) const {
  const std::lock_guard lock(mutex_);
  const auto now = now_();
  const bool paused = now < next_try_;
  if (held_ && !refused_) {
    const auto left = held_->expires - now;
    // Where those that were just given have expired, the clock may be wrong.
    if (left > kAhead || (paused && failed_.ok())) return *held_;
    if (left > left.zero() && (paused || looked_for)) return *held_;
  }
  if (paused && !failed_.ok()) return failed_;
  return std::nullopt;
}

arrow::Result<Credentials> CredentialsChain::Get() {
  if (auto known = Known(/*looked_for=*/false)) return *std::move(known);
  std::unique_lock looking(looking_, std::try_to_lock);
  if (!looking) {
    if (auto known = Known(/*looked_for=*/true)) return *std::move(known);
    looking.lock();
  }
  // Another thread may have ended its search meanwhile.
  if (auto known = Known(/*looked_for=*/false)) return *std::move(known);
  auto found = Find();
  const std::lock_guard lock(mutex_);
  const auto now = now_();  // to look may have taken a minute
  const bool good = held_ && !refused_ && held_->expires > now;
  const bool given = held_ && !held_->key_id.empty();
  // Its file may be being written anew. Nobody's requests would be denied, as if for good.
  if (found.ok() && found->key_id.empty() && given) {
    found = arrow::Status::IOError("what gave them gives none any more");
  }
  if (!found.ok()) {
    next_try_ = now + (given && !good ? kShortPause : kPause);
    if (good) next_try_ = std::min(next_try_, held_->expires);
    failed_ = arrow::Status::IOError("no credentials were given: ", found.status().message());
    // What is still good serves until it is not.
    if (good) return *held_;
    return failed_;
  }
  failed_ = {};
  refused_ = false;
  held_ = *std::move(found);
  // What gives them may have no fresher ones yet.
  const auto left = held_->expires - now;
  next_try_ = now + kPause;
  if (left > left.zero()) next_try_ = std::min(next_try_, now + left / 2);
  return *held_;
}

bool CredentialsChain::given() const {
  const std::lock_guard lock(mutex_);
  return held_ && !held_->key_id.empty();
}

bool CredentialsChain::Renew(const Credentials& refused) {
  const std::lock_guard lock(mutex_);
  if (held_ && held_->key_id == refused.key_id && held_->token == refused.token) {
    refused_ = true;
    next_try_ = {};
  }
  return Environment("AWS_ACCESS_KEY_ID").empty();
}

arrow::Result<Credentials> CredentialsChain::Find() {
  Credentials found{Environment("AWS_ACCESS_KEY_ID"), Environment("AWS_SECRET_ACCESS_KEY"),
                    Environment("AWS_SESSION_TOKEN")};
  if (!found.key_id.empty() && !found.secret.empty()) return found;
  ARROW_ASSIGN_OR_RAISE(found, OfProfile(ProfileName(), 0));
  if (!found.key_id.empty()) return found;
  const std::string role = Environment("AWS_ROLE_ARN");
  const std::string token = Environment("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (!role.empty() && !token.empty()) {
    return OfWebIdentity(role, Environment("AWS_ROLE_SESSION_NAME"), token);
  }
  ARROW_ASSIGN_OR_RAISE(found, OfContainer());
  if (!found.key_id.empty()) return found;
  return OfInstance();
}

arrow::Result<Credentials> CredentialsChain::OfProfile(const std::string& name, int depth) {
  const auto settings = Profile(name);
  // Another identity than the one that was asked for would be a surprise.
  if (!settings && (depth > 0 || ProfileIsNamed()))
    return arrow::Status::IOError(NoSuchProfile(name));
  if (!settings) return Credentials();
  if (depth == kMostProfiles) {
    return arrow::Status::Invalid("the profile ", name, " has itself for its source_profile");
  }
  const Credentials keys{Setting(*settings, "aws_access_key_id"),
                         Setting(*settings, "aws_secret_access_key"),
                         Setting(*settings, "aws_session_token")};
  const std::string role = Setting(*settings, "role_arn");
  const std::string session = Setting(*settings, "role_session_name");
  if (!role.empty()) {
    if (const std::string token = Setting(*settings, "web_identity_token_file"); !token.empty()) {
      return OfWebIdentity(role, session, token);
    }
    Credentials with = keys;
    const std::string source = Setting(*settings, "source_profile");
    const std::string where = Setting(*settings, "credential_source");
    if (!source.empty() && source != name) {
      ARROW_ASSIGN_OR_RAISE(with, OfProfile(source, depth + 1));
    } else if (where == "Environment") {
      with = {Environment("AWS_ACCESS_KEY_ID"), Environment("AWS_SECRET_ACCESS_KEY"),
              Environment("AWS_SESSION_TOKEN")};
    } else if (where == "EcsContainer") {
      ARROW_ASSIGN_OR_RAISE(with, OfContainer());
    } else if (where == "Ec2InstanceMetadata") {
      ARROW_ASSIGN_OR_RAISE(with, OfInstance());
    }
    if (with.key_id.empty()) {
      return arrow::Status::IOError("the profile ", name, " has a role_arn, but nothing gives the ",
                                    "credentials to take it with (source_profile, ",
                                    "credential_source)");
    }
    return AssumeRole(role, session, Setting(*settings, "external_id"), with);
  }
  if (!Setting(*settings, "sso_account_id").empty()) return OfSso(*settings);
  if (!keys.key_id.empty()) return keys;
  if (const std::string command = Setting(*settings, "credential_process"); !command.empty()) {
    return OfProcess(command);
  }
  return Credentials();
}

arrow::Result<HttpAnswer> CredentialsChain::Ask(const HttpUrl& url, HttpRequest request,
                                                int seconds) {
  request.target = url.target;
  request.headers.emplace_back("accept", "*/*");
  arrow::Result<HttpAnswer> answer;
  for (int attempt = 0; attempt < 3; ++attempt) {
    answer = client_.Send(url.server, request, std::chrono::seconds(seconds));
    const bool again =
        answer.ok() ? answer->status >= 500 || answer->status == 429
                    : HttpFailureOf(answer.status()) &&
                          HttpFailureOf(answer.status())->problem() != HttpProblem::kUnreachable;
    if (!again) break;
  }
  return answer;
}

arrow::Result<Credentials> CredentialsChain::OfSso(const ProfileSettings& settings) {
  const auto ask = [&](const HttpUrl& url, HttpRequest request) {
    return Ask(url, std::move(request), 5);
  };
  ARROW_ASSIGN_OR_RAISE(const SsoToken token, GetSsoToken(settings, ask));
  ARROW_ASSIGN_OR_RAISE(
      const HttpUrl url,
      ParseHttpUrl(
          FirstOf(Environment("AWS_ENDPOINT_URL_SSO"),
                  "https://portal.sso." + token.region + '.' + AwsDomain(token.region)) +
          "/federation/credentials?account_id=" + UrlEncode(Setting(settings, "sso_account_id")) +
          "&role_name=" + UrlEncode(Setting(settings, "sso_role_name"))));
  HttpRequest request;
  request.headers.emplace_back("x-amz-sso_bearer_token", token.token);
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Ask(url, std::move(request), 5));
  const json given = ParseJson(answer.text());
  const json role = given.is_object() ? given.value("roleCredentials", json()) : json();
  Credentials found{JsonString(role, "accessKeyId"), JsonString(role, "secretAccessKey"),
                    JsonString(role, "sessionToken")};
  if (found.key_id.empty()) {
    return arrow::Status::IOError("single sign-on gives no credentials: HTTP status ",
                                  answer.status);
  }
  if (role.contains("expiration") && role["expiration"].is_number_integer()) {
    constexpr auto kMost = std::chrono::floor<std::chrono::milliseconds>(Clock::duration::max());
    const auto ms = std::clamp<int64_t>(role["expiration"].get<int64_t>(), 0, kMost.count());
    found.expires = Clock::time_point(std::chrono::milliseconds(ms));
  }
  return found;
}

arrow::Result<Credentials> CredentialsChain::OfContainer() {
  std::string address = Environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const std::string path = Environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
      !path.empty()) {
    address = "http://169.254.170.2" + path;
  }
  if (address.empty()) return Credentials();
  ARROW_ASSIGN_OR_RAISE(const HttpUrl url, ParseHttpUrl(address));
  HttpRequest request;
  std::string token = Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = Environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
      !file.empty()) {
    token = ReadText(file);
  }
  if (!token.empty()) request.headers.emplace_back("authorization", token);
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Ask(url, std::move(request), 2));
  return ParseCredentials("the container at " + url.server.Url(), answer.text(), "Token");
}

arrow::Result<Credentials> CredentialsChain::OfInstance() {
  if (LowerCase(Environment("AWS_EC2_METADATA_DISABLED")) == "true") return Credentials();
  std::string address = Environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (address.empty()) {
    std::string mode = Environment("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    address =
        mode == "IPv6" || mode == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
  }
  ARROW_ASSIGN_OR_RAISE(HttpUrl url, ParseHttpUrl(address));
  const std::string root = url.target.ends_with('/') ? url.target : url.target + '/';

  HttpRequest ask_token;
  ask_token.method = "PUT";
  ask_token.headers.emplace_back("x-aws-ec2-metadata-token-ttl-seconds", "21600");
  url.target = root + "latest/api/token";
  const auto token = Ask(url, std::move(ask_token), 1);
  // Most machines are no instances.
  if (!token.ok()) return Credentials();
  const auto get = [&](const std::string& path) {
    HttpRequest request;
    if (token->ok()) {
      request.headers.emplace_back("x-aws-ec2-metadata-token", std::string(token->text()));
    }
    url.target = root + "latest/meta-data/iam/security-credentials/" + path;
    return Ask(url, std::move(request), 1);
  };
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer role, get(""));
  if (role.status == 404) return Credentials();
  if (!role.ok()) {
    return arrow::Status::IOError("this instance does not name its role: HTTP status ",
                                  role.status);
  }
  const std::string name(role.text().substr(0, role.text().find('\n')));
  if (name.empty()) return Credentials();
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, get(UrlEncode(name)));
  return ParseCredentials("the role of this instance, " + name + ",", answer.text(), "Token");
}

arrow::Result<Credentials> CredentialsChain::AssumeRole(const std::string& role,
                                                        const std::string& session,
                                                        const std::string& external_id,
                                                        const Credentials& with) {
  std::string form = "Action=AssumeRole&Version=2011-06-15&RoleArn=" + UrlEncode(role) +
                     "&RoleSessionName=" + UrlEncode(FirstOf(session, "pomona"));
  if (!external_id.empty()) form += "&ExternalId=" + UrlEncode(external_id);
  return AskSts(form, &with);
}

arrow::Result<Credentials> CredentialsChain::OfWebIdentity(const std::string& role,
                                                           const std::string& session,
                                                           const std::string& token_file) {
  const std::string token = ReadText(token_file);
  if (token.empty())
    return arrow::Status::IOError("there is no web identity token in ", token_file);
  return AskSts("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=" + UrlEncode(role) +
                    "&RoleSessionName=" + UrlEncode(FirstOf(session, "pomona")) +
                    "&WebIdentityToken=" + UrlEncode(token),
                nullptr);
}

arrow::Result<Credentials> CredentialsChain::AskSts(const std::string& form,
                                                    const Credentials* with) {
  const std::string region = StsRegion();
  const std::string host = (region.empty() ? "sts." : "sts." + region + '.') + AwsDomain(region);
  ARROW_ASSIGN_OR_RAISE(const HttpUrl url, ParseHttpUrl(FirstOf(Environment("AWS_ENDPOINT_URL_STS"),
                                                                "https://" + host)));
  HttpRequest request;
  request.method = "POST";
  request.target = url.target;
  request.headers.emplace_back("content-type", "application/x-www-form-urlencoded");
  request.body = {reinterpret_cast<const uint8_t*>(form.data()), form.size()};
  if (with) {
    Sign(*with, FirstOf(region, "us-east-1"), "sts", SystemClock::now(), url.server, &request);
  }
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Ask(url, std::move(request), 5));
  const std::string_view xml = answer.text();
  Credentials found{XmlText(xml, "AccessKeyId"), XmlText(xml, "SecretAccessKey"),
                    XmlText(xml, "SessionToken")};
  if (!answer.ok() || found.key_id.empty()) {
    return arrow::Status::IOError(
        "the role cannot be assumed: ",
        FirstOf(XmlText(xml, "Message"), "HTTP status " + std::to_string(answer.status)));
  }
  ARROW_ASSIGN_OR_RAISE(found.expires, ParseExpiry(XmlText(xml, "Expiration")));
  return found;
}

std::string WhyNoCredentials() {
  for (const char* name :
       {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}) {
    if (!Environment(name).empty()) return {};
  }
  const std::string name = ProfileName();
  const auto profile = Profile(name);
  for (const char* setting :
       {"aws_access_key_id", "role_arn", "sso_account_id", "credential_process"}) {
    if (profile && profile->contains(setting)) return {};
  }
  if (ProfileIsNamed() && !profile) return NoSuchProfile(name);
  return "no credentials were found in AWS_ACCESS_KEY_ID, " + CredentialsFile() + " and " +
         ConfigFile() +
         "; unless this machine has a role, set them, or read public buckets with --s3-anonymous";
}

}  // namespace pomona
