#include "s3/connection.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "base64.h"
#include "environment.h"
#include "md5.h"
#include "s3/signature.h"
#include "s3/tls.h"

namespace pomona {
namespace {

using arrow::internal::ThreadPool;
using std::chrono::milliseconds;
using SystemClock = std::chrono::system_clock;

constexpr milliseconds kFirstDelay{100};
constexpr milliseconds kLongestDelay{2000};

// Without a byte. Later attempts wait longer, the last one a minute, as AWS' SDKs do: what is slow
// has to come to its answer once.
constexpr milliseconds kFirstPatience{3000};
constexpr milliseconds Patience(int attempt) {
  return kFirstPatience + milliseconds(255) * attempt * attempt;
}
static_assert(Patience(kS3Attempts - 1) > std::chrono::seconds(60));
// While the server joins the parts of an object.
constexpr milliseconds kJoinPatience{10'000};

// Tries to reach a server that has not answered yet: it may not be one.
constexpr int kConnectAttempts = 5;
constexpr int kMostRedirects = 3;

constexpr int64_t kMostErrorBytes = int64_t{64} << 10;
constexpr int64_t kMostListingBytes = int64_t{16} << 20;

// Half fixed, half random, so that those who failed together do not come back together.
milliseconds Delay(int64_t attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto longest = std::min<int64_t>(kLongestDelay.count(),
                                         kFirstDelay.count() << std::min<int64_t>(attempt, 9));
  return milliseconds(longest / 2 + static_cast<int64_t>(random() % (longest / 2)));
}

// What may become a part of a host's name.
bool IsRegion(const std::string& text) {
  return !text.empty() && text.size() < 64 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == text.npos;
}

std::string EnvironmentRegion() {
  const std::string region = Environment("AWS_REGION");
  return region.empty() ? Environment("AWS_DEFAULT_REGION") : region;
}

arrow::Status Failed(int status, std::string code, const std::string& message,
                     std::optional<HttpProblem> problem = {}) {
  return {arrow::StatusCode::IOError, message,
          std::make_shared<S3Failure>(status, std::move(code), problem)};
}

// Of a request that came to no answer.
arrow::Status Unanswered(const arrow::Status& status) {
  const HttpFailure* failure = HttpFailureOf(status);
  return failure ? Failed(0, "", status.message(), failure->problem()) : status;
}

// A server's "Sat, 28 Nov 2026 16:30:14 GMT"; nothing where it is none.
std::optional<SystemClock::time_point> ParseHttpDate(std::string_view text) {
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() < 29) return std::nullopt;
  const size_t month = kMonths.find(text.substr(8, 3));
  if (month == kMonths.npos || month % 3 != 0) return std::nullopt;
  const std::string number = std::to_string(101 + month / 3);
  const std::string iso = std::string(text.substr(12, 4)) + '-' + number.substr(1) + '-' +
                          std::string(text.substr(5, 2)) + 'T' + std::string(text.substr(17, 8)) +
                          'Z';
  const auto time = ParseIsoTime(iso);
  if (!time.ok()) return std::nullopt;
  return SystemClock::time_point(
      std::chrono::duration_cast<SystemClock::duration>(std::chrono::nanoseconds(*time)));
}

std::string WithoutQuotes(std::string_view etag) {
  std::string plain(etag);
  std::erase(plain, '"');
  return plain;
}

S3Object ObjectOf(const HttpAnswer& answer) {
  S3Object object;
  object.size = static_cast<int64_t>(answer.body.size());
  std::string_view length = answer.Header("content-length");
  // "bytes 0-99/1000"
  if (const std::string_view range = answer.Header("content-range"); !range.empty()) {
    length = range.substr(range.find('/') + 1);
  }
  std::from_chars(length.data(), length.data() + length.size(), object.size);
  object.etag = WithoutQuotes(answer.Header("etag"));
  // A key of the customer's or of a service makes it another one.
  const std::string_view encryption = answer.Header("x-amz-server-side-encryption");
  object.etag_is_digest = (encryption.empty() || encryption == "AES256") &&
                          answer.Header("x-amz-server-side-encryption-customer-algorithm").empty();
  return object;
}

// Whether the same request may fare better.
bool MayPass(const S3Failure& failure) {
  if (failure.problem) return *failure.problem != HttpProblem::kUntrusted;
  static constexpr std::string_view kCodes[] = {
      "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling",
      "ThrottlingException", "RequestLimitExceeded", "RequestThrottled", "TooManyRequests",
      "BandwidthLimitExceeded", "OperationAborted",
      // A server that objects to what became of a request on its way.
      "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch",
      // Of the service that keeps the keys.
      "KMS.ThrottlingException", "KMS.KMSInternalException", "KMS.DependencyTimeoutException"};
  if (std::ranges::find(kCodes, failure.code) != std::end(kCodes)) return true;
  return failure.status == 408 || failure.status == 429 || failure.status == 500 ||
         failure.status == 502 || failure.status == 503 || failure.status == 504;
}

bool IsExpired(std::string_view code) {
  return code == "ExpiredToken" || code == "ExpiredTokenException" ||
         code == "TokenRefreshRequired";
}

std::string_view Meaning(const S3Failure& failure) {
  static constexpr std::pair<std::string_view, std::string_view> kMeanings[] = {
      {"NoSuchBucket", "there is no such bucket"},
      {"NoSuchKey", "there is no such object"},
      {"AccessDenied", "permission denied"},
      {"AllAccessDisabled", "permission denied"},
      {"AccountProblem", "permission denied"},
      {"ExpiredToken", "the session token has expired; renew the credentials"},
      {"TokenRefreshRequired", "the session token has expired; renew the credentials"},
      {"RequestExpired", "the request is too old for the server; check this machine's clock"},
      {"RequestTimeTooSkewed", "this machine's clock differs too much from the server's; set it"},
      {"InvalidToken", "the session token is not valid"},
      {"InvalidClientTokenId", "the access key is not known there"},
      {"InvalidAccessKeyId", "the access key is not known there"},
      {"XAdminUserNotFound", "the access key is not known there"},
      {"SignatureDoesNotMatch", "the secret key does not belong to the access key"},
      {"PermanentRedirect", "the bucket is in another region; set AWS_REGION"},
      {"AuthorizationHeaderMalformed", "the bucket is in another region; set AWS_REGION"},
      {"SlowDown", "the server cannot keep up"},
      {"PreconditionFailed", "it was changed by somebody else"},
  };
  for (const auto& [code, meaning] : kMeanings) {
    if (failure.code == code) return meaning;
  }
  if (!failure.code.empty()) return {};
  if (failure.status == 403 || failure.status == 401) return "permission denied";
  if (failure.status == 404) return "not found";
  if (failure.status == 412) return "it was changed by somebody else";
  if (failure.status == 503) return "the server cannot keep up";
  return {};
}

}  // namespace

const S3Failure* S3Failure::Of(const arrow::Status& status) {
  return dynamic_cast<const S3Failure*>(status.detail().get());
}

bool IsNoSuchKey(const arrow::Status& status) {
  const S3Failure* failure = S3Failure::Of(status);
  return failure && failure->status == 404 &&
         (failure->code.empty() || failure->code == "NoSuchKey");
}

bool IsConditionFailed(const arrow::Status& status) {
  const S3Failure* failure = S3Failure::Of(status);
  return failure && (failure->status == 412 || failure->status == 409);
}

std::optional<Reject> RejectOf(const arrow::Status& status) {
  const S3Failure* failure = S3Failure::Of(status);
  if (!failure) return std::nullopt;
  if (IsNoSuchKey(status)) return GoneReject();
  if (failure->code == "AccessDenied") {
    return Reject{Stage::kRead, Reason::kForbidden, "permission denied"};
  }
  if (failure->code.starts_with("KMS.") && !MayPass(*failure)) {
    return Reject{Stage::kRead, Reason::kForbidden,
                  "its KMS key cannot be used (" + failure->code + "); enable the key"};
  }
  if (failure->code == "InvalidObjectState") {
    return Reject{Stage::kRead, Reason::kUnreadable, "it is archived; restore it first"};
  }
  // The same code stands for other things.
  if (failure->code == "InvalidRequest" &&
      status.message().find("Server Side Encryption") != std::string::npos) {
    return Reject{Stage::kRead, Reason::kUnreadable,
                  "it is encrypted with a key of its writer's (SSE-C); copy it to one without"};
  }
  // Names that a server cannot have stored, such as '..' in a key.
  if (failure->status == 400 && failure->code.find("InvalidObjectName") != std::string::npos) {
    return Reject{Stage::kRead, Reason::kUnreadable, "the server does not take its key"};
  }
  return std::nullopt;
}

struct S3Connection::Request {
  std::string_view method = "GET";
  std::string key;
  std::string query;  // encoded, its parameters sorted
  HttpHeaders headers;
  std::span<const uint8_t> body;
  int64_t most = kMostErrorBytes;
  milliseconds patience = kFirstPatience;
  bool once = false;  // not repeated: the server may have heard it
};

arrow::Result<std::unique_ptr<S3Connection>> S3Connection::Open(const std::string& uri,
                                                                const S3Options& options,
                                                                CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const std::string normal, NormalS3Uri(uri));
  std::unique_ptr<S3Connection> connection(new S3Connection);
  const std::string path = normal.substr(std::string_view("s3://").size());
  connection->bucket_ = path.substr(0, path.find('/'));
  if (connection->bucket_.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
      std::string::npos) {
    return arrow::Status::Invalid("'", connection->bucket_, "' is not a valid name of a bucket");
  }
  connection->cancel_ = cancel;
  connection->anonymous_ = options.anonymous;
  ARROW_ASSIGN_OR_RAISE(connection->executor_, ThreadPool::Make(kS3RequestsAtOnce));
  ARROW_RETURN_NOT_OK(connection->Reach(options));
  return connection;
}

arrow::Status S3Connection::Reach(const S3Options& options) {
  endpoint_ = options.endpoint;
  if (endpoint_.empty()) endpoint_ = Environment("AWS_ENDPOINT_URL_S3");
  if (endpoint_.empty()) endpoint_ = Environment("AWS_ENDPOINT_URL");
  while (endpoint_.ends_with('/')) endpoint_.pop_back();
  if (!endpoint_.empty()) {
    const bool bare = endpoint_.find("://") == std::string::npos;
    const auto url = ParseHttpUrl(bare ? "https://" + endpoint_ : endpoint_);
    if (!url.ok()) {
      return arrow::Status::Invalid("S3 endpoint '", endpoint_, "': expected http:// or https://");
    }
    encrypted_ = url->server.tls;
    std::string region = EnvironmentRegion();
    if (region.empty()) region = ChosenProfile()["region"];
    const std::string below = url->target == "/" ? "" : url->target;
    place_ = {url->server, below + '/' + bucket_ + '/', region.empty() ? "us-east-1" : region};
  }
  if (const std::string authorities = AuthoritiesFile();
      encrypted_ && !authorities.empty() && access(authorities.c_str(), R_OK) != 0) {
    return arrow::Status::IOError("AWS_CA_BUNDLE: cannot read ", authorities);
  }
  return endpoint_.empty() ? FindRegion() : arrow::Status::OK();
}

S3Connection::Place S3Connection::AwsPlace(const std::string& region) const {
  const std::string domain = "s3." + region + '.' + AwsDomain(region);
  // A certificate's asterisk stands for one name.
  const bool in_path = bucket_.find_first_of("._") != std::string::npos ||
                       std::ranges::any_of(bucket_, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (in_path) return {{true, domain, 443}, '/' + bucket_ + '/', region};
  return {{true, bucket_ + '.' + domain, 443}, "/", region};
}

arrow::Status S3Connection::FindRegion() {
  std::string known = EnvironmentRegion();
  if (known.empty()) known = ChosenProfile()["region"];
  place_ = AwsPlace(known.empty() ? "us-east-1" : known);
  // Partitions of their own, which the rest of AWS knows nothing of.
  if (known.starts_with("cn-") || known.starts_with("us-gov-") || known.starts_with("us-iso")) {
    return arrow::Status::OK();
  }
  HttpRequest request;
  request.method = "HEAD";
  request.target = place_.path;
  arrow::Result<HttpAnswer> answer;
  for (int attempt = 0;; ++attempt) {
    answer = client_.Send(place_.server, request, kFirstPatience);
    if (answer.ok() || attempt + 1 == kConnectAttempts || !WaitToRetry(attempt)) break;
  }
  const std::string uri = "s3://" + bucket_;
  if (!answer.ok()) {
    return Explain("cannot reach", uri, Unanswered(answer.status()));
  }
  reached_ = true;
  if (const std::string region(answer->Header("x-amz-bucket-region")); IsRegion(region)) {
    place_ = AwsPlace(region);
  } else if (answer->status == 404) {
    return Explain("cannot reach", uri, Failed(404, "NoSuchBucket", ""));
  }
  return arrow::Status::OK();
}

S3Connection::~S3Connection() { Stop(); }

void S3Connection::Stop() {
  stopped_ = true;
  client_.Stop();
  // A second time, it says that there was a first.
  if (executor_) (void)executor_->Shutdown(/*wait=*/false);
}

bool S3Connection::WaitToRetry(int attempt) {
  if (attempt + 1 >= kS3Attempts || stopped_ || cancel_.requested()) return false;
  ++retries_;
  std::this_thread::sleep_for(Delay(attempt));
  return !stopped_ && !cancel_.requested();
}

// Whether the request goes on elsewhere: to the region that the answer names, from now on, or to
// the place that it leads to, this once.
bool S3Connection::Follow(const HttpAnswer& answer, const Place& asked,
                          std::optional<Place>* elsewhere, std::string* target) {
  std::string region(answer.Header("x-amz-bucket-region"));
  if (region.empty()) region = XmlText(answer.text(), "Region");
  if (IsRegion(region) && region != asked.region) {
    elsewhere->reset();
    const std::lock_guard lock(mutex_);
    if (endpoint_.empty()) {
      place_ = AwsPlace(region);
    } else {
      place_.region = region;
    }
    return true;
  }
  if (answer.status != 307 && answer.status != 308) return false;
  const auto url = ParseHttpUrl(answer.Header("location"));
  if (!url.ok() || (asked.server.tls && !url->server.tls)) return false;
  *elsewhere = {url->server, "", asked.region};
  *target = url->target;
  return true;
}

struct S3Connection::Attempt {
  std::optional<Place> elsewhere;  // where an answer led to, instead of the bucket's place
  std::string elsewhere_target;

  Place place;
  Credentials credentials;
  HttpRequest http;
  arrow::Result<HttpAnswer> answer;
};

// Makes and signs what is to be sent.
arrow::Status S3Connection::Prepare(const Request& request, Attempt* attempt) {
  HttpRequest& http = attempt->http;
  http.method = request.method;
  http.body = request.body;
  http.headers = request.headers;
  if (md5_wanted_ && request.method == "PUT") {
    http.headers.emplace_back("content-md5", Base64(Md5(request.body)));
  }
  http.most = request.most;
  http.once = request.once;
  if (attempt->elsewhere) {
    attempt->place = *attempt->elsewhere;
    http.target = attempt->elsewhere_target;
  } else {
    {
      const std::lock_guard lock(mutex_);
      attempt->place = place_;
    }
    http.target = attempt->place.path + UrlEncode(request.key, /*keep_slashes=*/true);
    if (!request.query.empty()) http.target += '?' + request.query;
  }
  if (anonymous_) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(attempt->credentials, credentials_.Get());
  if (!attempt->credentials.key_id.empty()) {
    Sign(attempt->credentials, attempt->place.region, "s3",
         SystemClock::now() + std::chrono::seconds(skew_), attempt->place.server, &http);
  }
  return arrow::Status::OK();
}

// `first`: was made already, and answered.
arrow::Result<HttpAnswer> S3Connection::Send(const Request& request, Attempt* first) {
  std::optional<Place> elsewhere;
  std::string elsewhere_target;
  int redirects = 0, renewals = 0, corrections = 0;
  bool asked_why = false, without_md5 = !md5_wanted_;
  for (int attempt = 0;;) {
    Attempt made;
    if (first) {
      made = std::move(*std::exchange(first, nullptr));
    } else {
      made.elsewhere = elsewhere;
      made.elsewhere_target = elsewhere_target;
      if (arrow::Status prepared = Prepare(request, &made); !prepared.ok()) {
        if (!credentials_.given() || !WaitToRetry(attempt++)) return prepared;
        continue;
      }
      const milliseconds patience = std::max(request.patience, Patience(attempt));
      made.answer = client_.Send(made.place.server, made.http, patience);
    }
    const Place& place = made.place;
    const Credentials& credentials = made.credentials;
    auto& answer = made.answer;
    arrow::Status failed;
    int attempts = request.once ? 1 : kS3Attempts;
    if (answer.ok()) {
      reached_ = true;
      first_byte_.AddShared(answer->first_byte_seconds);
      whole_.AddShared(answer->seconds);
      if (answer->ok()) return std::move(answer);
      std::string code = XmlText(answer->text(), "Code");
      if ((answer->status / 100 == 3 || code == "AuthorizationHeaderMalformed" ||
           code == "IllegalLocationConstraintException" || code == "PermanentRedirect") &&
          redirects++ < kMostRedirects && Follow(*answer, place, &elsewhere, &elsewhere_target)) {
        continue;
      }
      // What is told of a HEAD has no words. A GET has, and sets right what can be.
      if (request.method == "HEAD" &&
          (answer->status == 301 || answer->status == 400 || answer->status == 403) && !asked_why) {
        asked_why = true;
        Request why;
        why.key = request.key;
        why.headers.emplace_back("range", "bytes=0-0");
        const auto told = Send(why);
        const S3Failure* failure = S3Failure::Of(told.status());
        // Of what is empty there is no first byte.
        if (told.ok() || (failure && failure->status == 416)) continue;
        return told.status();
      }
      if (IsExpired(code) && renewals++ == 0 && !anonymous_ && credentials_.Renew(credentials)) {
        continue;
      }
      if (code == "RequestTimeTooSkewed" && corrections++ == 0) {
        if (const auto theirs = ParseHttpDate(answer->Header("date"))) {
          skew_ = std::chrono::duration_cast<std::chrono::seconds>(*theirs - SystemClock::now())
                      .count();
          continue;
        }
      }
      std::string message = XmlText(answer->text(), "Message");
      // Where objects are locked, AWS does not make do with the digest that is signed.
      if (request.method == "PUT" && code == "InvalidRequest" && without_md5 &&
          message.find("Content-MD5") != message.npos) {
        without_md5 = false;
        md5_wanted_ = true;
        continue;
      }
      failed = Failed(answer->status, std::move(code), message);
      // Something in front of the store, which knows nothing of the object.
      if (request.method == "GET" && (answer->status == 403 || answer->status == 404) &&
          S3Failure::Of(failed)->code.empty()) {
        failed = Failed(0, "",
                        "it is not S3 that answers: HTTP status " + std::to_string(answer->status) +
                            " without a code of S3's",
                        HttpProblem::kNonsense);
      }
    } else {
      if (!reached_) attempts = std::min(attempts, kConnectAttempts);
      failed = Unanswered(answer.status());
      if (!S3Failure::Of(failed)) return failed;
    }
    if (!MayPass(*S3Failure::Of(failed)) || attempt + 1 >= attempts || !WaitToRetry(attempt++)) {
      return failed;
    }
  }
}

class S3Connection::PendingGet {
 public:
  Request request;
  Attempt attempt;
  std::shared_ptr<HttpClient::Pending> sent;
  bool answered = false;
};

std::shared_ptr<S3Connection::PendingGet> S3Connection::TryGet(const std::string& key) {
  auto pending = std::make_shared<PendingGet>();
  pending->request.key = key;
  pending->request.most = kMostObjectBytes;
  if (!Prepare(pending->request, &pending->attempt).ok()) return nullptr;
  pending->sent = client_.TrySend(pending->attempt.place.server, pending->attempt.http,
                                  pending->request.patience);
  return pending->sent ? pending : nullptr;
}

void S3Connection::Wait(std::span<PendingGet* const> pending, milliseconds most,
                        std::vector<bool>* due) {
  std::vector<HttpClient::Pending*> sent;
  sent.reserve(pending.size());
  for (const PendingGet* each : pending) sent.push_back(each->sent.get());
  HttpClient::Wait(sent, most, due);
}

bool S3Connection::Receive(PendingGet& pending) {
  auto answer = client_.Receive(*pending.sent, pending.attempt.http);
  pending.answered = answer.has_value();
  if (!answer) return false;
  pending.attempt.answer = *std::move(answer);
  return pending.attempt.answer.ok() && pending.attempt.answer->ok();
}

arrow::Result<S3Object> S3Connection::Get(PendingGet& pending, std::vector<uint8_t>* bytes) {
  Attempt* const first = pending.answered ? &pending.attempt : nullptr;
  ARROW_ASSIGN_OR_RAISE(HttpAnswer answer, Send(pending.request, first));
  S3Object object = ObjectOf(answer);
  *bytes = std::move(answer.body);
  return object;
}

arrow::Result<S3Object> S3Connection::Get(const std::string& key, int64_t first, int64_t count,
                                          std::vector<uint8_t>* bytes, const std::string& etag) {
  Request request;
  request.key = key;
  if (!etag.empty()) request.headers.emplace_back("if-match", '"' + etag + '"');
  // A server that does not know ranges sends all of it.
  request.most = first == 0 ? kMostObjectBytes : std::max(kMostErrorBytes, count);
  if (count >= 0) {
    request.headers.emplace_back(
        "range", "bytes=" + std::to_string(first) + '-' + std::to_string(first + count - 1));
  }
  auto sent = Send(request);
  if (const S3Failure* failure = S3Failure::Of(sent.status());
      failure && failure->status == 416 && first == 0) {
    // Of what is empty there is no first byte.
    bytes->clear();
    return S3Object();
  }
  ARROW_ASSIGN_OR_RAISE(HttpAnswer answer, std::move(sent));
  if (count >= 0 && answer.status != 206) {
    if (first > 0) return Failed(answer.status, "", "the server does not give parts of objects");
    if (static_cast<int64_t>(answer.body.size()) > count)
      answer.body.resize(static_cast<size_t>(count));
  }
  S3Object object = ObjectOf(answer);
  *bytes = std::move(answer.body);
  return object;
}

arrow::Result<S3Object> S3Connection::Head(const std::string& key) {
  Request request;
  request.method = "HEAD";
  request.key = key;
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(request));
  return ObjectOf(answer);
}

arrow::Result<ListingPage> S3Connection::List(const std::string& prefix, bool folders,
                                              const std::string& next, int most) {
  Request request;
  if (!next.empty()) request.query = "continuation-token=" + UrlEncode(next) + '&';
  if (folders) request.query += "delimiter=%2F&";
  request.query += "encoding-type=url&list-type=2";
  if (most != 1000) request.query += "&max-keys=" + std::to_string(most);
  request.query += "&prefix=" + UrlEncode(prefix);
  request.most = kMostListingBytes;
  for (int attempt = 0;; ++attempt) {
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(request));
    auto page = ParseListing(answer.text());
    if (page.ok()) {
      const auto asked_for = [&](const std::string& key) { return key.starts_with(prefix); };
      if (std::ranges::all_of(page->objects, asked_for, &ListedObject::key) &&
          std::ranges::all_of(page->folders, asked_for)) {
        return page;
      }
      return Failed(answer.status, "", "the server lists what was not asked for");
    }
    if (!WaitToRetry(attempt)) return page;
  }
}

arrow::Result<std::string> S3Connection::Put(const std::string& key, std::span<const uint8_t> bytes,
                                             const std::string& if_match) {
  Request request;
  request.method = "PUT";
  request.key = key;
  request.body = bytes;
  if (if_match == "*") {
    request.headers.emplace_back("if-none-match", "*");
  } else if (!if_match.empty()) {
    request.headers.emplace_back("if-match", '"' + if_match + '"');
  }
  arrow::Result<HttpAnswer> answer;
  for (int attempt = 0;; ++attempt) {
    answer = Send(request);
    // A server that keeps objects as files may have removed their folder under it.
    const bool writes_anyway = if_match.empty() || if_match == "*";
    if (!writes_anyway || !IsNoSuchKey(answer.status()) || !WaitToRetry(attempt)) break;
  }
  ARROW_RETURN_NOT_OK(answer.status());
  return WithoutQuotes(answer->Header("etag"));
}

arrow::Status S3Connection::Delete(const std::string& key, bool once) {
  Request request;
  request.once = once;
  request.method = "DELETE";
  request.key = key;
  const arrow::Status status = Send(request).status();
  return IsNoSuchKey(status) ? arrow::Status::OK() : status;
}

arrow::Result<std::string> S3Connection::BeginUpload(const std::string& key) {
  Request request;
  request.method = "POST";
  request.key = key;
  request.query = "uploads=";
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(request));
  std::string upload = XmlText(answer.text(), "UploadId");
  if (upload.empty()) return Failed(answer.status, "", "the server gives the upload no name");
  return upload;
}

arrow::Result<std::string> S3Connection::PutPart(const std::string& key, const std::string& upload,
                                                 int part, std::span<const uint8_t> bytes) {
  Request request;
  request.method = "PUT";
  request.key = key;
  request.query = "partNumber=" + std::to_string(part) + "&uploadId=" + UrlEncode(upload);
  request.body = bytes;
  ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(request));
  return WithoutQuotes(answer.Header("etag"));
}

arrow::Status S3Connection::CompleteUpload(const std::string& key, const std::string& upload,
                                           const std::vector<std::string>& etags) {
  std::string parts = "<CompleteMultipartUpload>";
  for (size_t i = 0; i < etags.size(); ++i) {
    parts += "<Part><ETag>\"" + etags[i] + "\"</ETag><PartNumber>" + std::to_string(i + 1) +
             "</PartNumber></Part>";
  }
  parts += "</CompleteMultipartUpload>";
  Request request;
  request.method = "POST";
  request.key = key;
  request.query = "uploadId=" + UrlEncode(upload);
  request.headers.emplace_back("content-type", "application/xml");
  request.body = {reinterpret_cast<const uint8_t*>(parts.data()), parts.size()};
  request.patience = kJoinPatience;
  for (int attempt = 0;; ++attempt) {
    const auto answer = Send(request);
    if (!answer.ok()) {
      // An earlier attempt, whose answer was lost, may have completed it.
      const S3Failure* failure = S3Failure::Of(answer.status());
      if (failure && failure->code == "NoSuchUpload" && Head(key).ok()) return {};
      return answer.status();
    }
    // What fails while the parts are joined is told after a 200.
    std::string code = XmlText(answer->text(), "Code");
    if (code.empty()) return {};
    const arrow::Status failed = Failed(500, code, XmlText(answer->text(), "Message"));
    if (!WaitToRetry(attempt)) return failed;
  }
}

arrow::Status S3Connection::AbortUpload(const std::string& key, const std::string& upload) {
  Request request;
  request.method = "DELETE";
  request.key = key;
  request.query = "uploadId=" + UrlEncode(upload);
  const arrow::Status status = Send(request).status();
  const S3Failure* failure = S3Failure::Of(status);
  return failure && failure->status == 404 ? arrow::Status::OK() : status;
}

arrow::Result<std::vector<ListedUpload>> S3Connection::ListUploads(const std::string& prefix) {
  std::vector<ListedUpload> uploads;
  for (UploadsPage page;;) {
    Request request;
    request.query = "encoding-type=url";
    if (!page.next_key.empty()) request.query += "&key-marker=" + UrlEncode(page.next_key);
    request.query += "&prefix=" + UrlEncode(prefix);
    if (!page.next_id.empty()) request.query += "&upload-id-marker=" + UrlEncode(page.next_id);
    request.query += "&uploads=";
    request.most = kMostListingBytes;
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, Send(request));
    ARROW_ASSIGN_OR_RAISE(page, ParseUploads(answer.text()));
    std::ranges::move(page.uploads, std::back_inserter(uploads));
    if (page.next_key.empty()) return uploads;
  }
}

arrow::Status S3Connection::Explain(std::string_view what, const std::string& uri,
                                    const arrow::Status& status) const {
  const S3Failure* failure = S3Failure::Of(status);
  if (!failure) return status.WithMessage(what, " ", uri, ": ", status.message());
  const std::string server = endpoint_.empty() ? "AWS" : endpoint_;
  std::string why(Meaning(*failure));
  if (failure->problem) {
    why = *failure->problem == HttpProblem::kNonsense
              ? status.message()
              : "no connection to " + server + ": " + status.message();
  } else {
    if (why.empty()) why = status.message();
    if (why.empty()) why = "the server does not say why";
    why +=
        " (" +
        (failure->code.empty() ? "HTTP status " + std::to_string(failure->status) : failure->code) +
        ')';
  }
  const bool denied =
      failure->status == 403 || failure->status == 401 || failure->code == "AccessDenied";
  if (const std::string lacking = denied && !anonymous_ ? WhyNoCredentials() : "";
      !lacking.empty()) {
    why += "; " + lacking;
  } else if (failure->problem && !endpoint_.empty() && endpoint_.find("://") == std::string::npos) {
    why += "; the endpoint is taken for https, name http://" + endpoint_ + " if it has no TLS";
  }
  return arrow::Status::IOError(what, " ", uri, ": ", why);
}

}  // namespace pomona
