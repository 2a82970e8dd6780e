#include "s3/connection.h"

#include <arrow/filesystem/s3fs.h>
#include <arrow/util/uri.h>
#include <dlfcn.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

namespace pomona {
namespace {

using arrow::internal::ThreadPool;
using std::chrono::milliseconds;

constexpr milliseconds kFirstDelay{100};
constexpr milliseconds kLongestDelay{2000};

// Tries to reach a server that has not answered yet: it may not be one.
constexpr int kConnectAttempts = 5;

// Numbers of the AWS SDK's CoreErrors, for answers without a body to name the error.
constexpr int kAccessDenied = 15;
constexpr int kNotFound = 16;
constexpr int kNetworkConnection = 99;

constexpr const char* kAws = "AWS";  // the server where no endpoint is named

// Where distributions keep the authorities that sign servers' certificates.
constexpr const char* kAuthorities[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",    // Amazon Linux, Red Hat, Fedora
    "/etc/ssl/ca-bundle.pem",              // SUSE
    "/etc/ssl/cert.pem",                   // Alpine
};

struct Failure {
  int type = 0;
  std::string code;  // S3's name of the error; may be empty
  std::string message;
};

// Requests end on the thread that made them.
thread_local Failure last_of_thread;

// The SDK puts names that it does not know into the message:
// "Unable to parse ExceptionName: <code> Message: <message>".
Failure FailureOf(const arrow::fs::S3RetryStrategy::AWSErrorDetail& error) {
  Failure failure = {error.error_type, error.exception_name, error.message};
  constexpr std::string_view kUnknown = "Unable to parse ExceptionName: ", kMessage = " Message:";
  const size_t end = failure.message.find(kMessage);
  if (failure.message.starts_with(kUnknown) && end != std::string::npos) {
    failure.code = failure.message.substr(kUnknown.size(), end - kUnknown.size());
    failure.message.erase(0, std::min(end + kMessage.size() + 1, failure.message.size()));
  }
  return failure;
}

// Half fixed, half random, so that those who failed together do not come back together.
milliseconds Delay(int64_t attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  const auto longest = std::min<int64_t>(kLongestDelay.count(),
                                         kFirstDelay.count() << std::min<int64_t>(attempt, 9));
  return milliseconds(longest / 2 + static_cast<int64_t>(random() % (longest / 2)));
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// The file of the authorities that TLS believes; empty where OpenSSL is told by its own variables.
std::string AuthoritiesFile() {
  if (std::string bundle = Environment("AWS_CA_BUNDLE"); !bundle.empty()) return bundle;
  if (!Environment("SSL_CERT_FILE").empty() || !Environment("SSL_CERT_DIR").empty()) return {};
  for (const char* path : kAuthorities) {
    if (access(path, R_OK) == 0) return path;
  }
  return {};
}

// The lines below the heading "[name]" in a file of AWS' tools, up to the next heading; nothing
// where there is no such heading.
std::optional<std::string> Section(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::optional<std::string> section;
  for (std::string line; std::getline(file, line);) {
    std::erase_if(line, [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
    if (!line.starts_with('[')) {
      if (section) *section += line + '\n';
    } else if (section) {
      break;
    } else if (line == '[' + name + ']') {
      section.emplace();
    }
  }
  return section;
}

// Why requests carry no credentials, in the user's words; empty where there are some. What the role
// of a machine gives is not asked for.
std::string WhyNoCredentials() {
  for (const char* name :
       {"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}) {
    if (!Environment(name).empty()) return {};
  }
  std::string credentials = Environment("AWS_SHARED_CREDENTIALS_FILE");
  if (credentials.empty()) credentials = Environment("HOME") + "/.aws/credentials";
  std::string config = Environment("AWS_CONFIG_FILE");
  if (config.empty()) config = Environment("HOME") + "/.aws/config";
  std::string profile = Environment("AWS_PROFILE");
  if (profile.empty()) profile = Environment("AWS_DEFAULT_PROFILE");
  const bool chosen = !profile.empty();
  if (!chosen) profile = "default";

  const auto keys = Section(credentials, profile);
  const auto settings = Section(config, profile == "default" ? profile : "profile" + profile);
  for (const char* name : {"aws_access_key_id", "role_arn", "sso_", "credential_process"}) {
    if (keys.value_or("").find(name) != std::string::npos) return {};
    if (settings.value_or("").find(name) != std::string::npos) return {};
  }
  const std::string files = credentials + " and " + config;
  if (chosen && !keys && !settings) return "there is no profile '" + profile + "' in " + files;
  return "no credentials were found in AWS_ACCESS_KEY_ID, " + files +
         "; unless this machine has a role, set them, or read public buckets with --s3-anonymous";
}

// Loads Arrow's S3 module from beside Arrow; where there is none, Arrow may have S3 built in.
arrow::Status LoadModule() {
  static const arrow::Status status = []() -> arrow::Status {
    Dl_info arrow_library;
    if (dladdr(reinterpret_cast<const void*>(&arrow::fs::EnsureFinalized), &arrow_library) != 0) {
      std::string path = arrow_library.dli_fname;
      const std::string name = "libarrow.so";
      const size_t at = path.rfind(name);
      if (at != std::string::npos) {
        path.replace(at, name.size(), "libarrow_s3.so");
        if (access(path.c_str(), R_OK) == 0) {
          ARROW_RETURN_NOT_OK(arrow::fs::LoadFileSystemFactories(path.c_str()));
        }
      }
    }
    return arrow::Status::OK();
  }();
  return status;
}

std::string WithoutSlashes(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

// What the SDK says of a connection: "curlCode: 7, Couldn't connect to server; Details: ...".
std::string ConnectionProblem(const std::string& message) {
  if (message.find("SSL peer certificate") != std::string::npos) {
    return "its certificate is not signed by a trusted CA; AWS_CA_BUNDLE may name a file of CAs";
  }
  const size_t code = message.find("curlCode: ");
  if (code == std::string::npos) return message;
  const size_t begin = message.find(", ", code);
  if (begin == std::string::npos) return message;
  return message.substr(begin + 2, message.find(';', begin) - begin - 2);
}

std::string_view Meaning(const Failure& failure) {
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
      {"SignatureDoesNotMatch", "the secret key does not belong to the access key"},
      {"PermanentRedirect", "the bucket is in another region; set AWS_REGION"},
      {"AuthorizationHeaderMalformed", "the bucket is in another region; set AWS_REGION"},
      {"SlowDown", "the server cannot keep up"},
      {"MissingContentLength", "the server does not take uploads of this form"},
      {"XAmzContentSHA256Mismatch", "the server does not take uploads of this form"},
      {"HTTP status 503", "the server cannot keep up"},
  };
  for (const auto& [code, meaning] : kMeanings) {
    if (failure.code == code) return meaning;
  }
  if (failure.type == kAccessDenied) return "permission denied";
  if (failure.type == kNotFound) return "not found";
  return {};
}

// Whether a server other than AWS' refuses an upload for the checksum behind it, which the SDK
// adds: by the codes that stores are known to answer with.
bool RefusesChecksums(std::string_view what, const Failure& failure) {
  static constexpr std::string_view kCodes[] = {
      "XAmzContentSHA256Mismatch", "MissingContentLength", "NotImplemented",
      "InvalidArgument",           "InvalidRequest",       "SignatureDoesNotMatch"};
  return what == "cannot write" && std::ranges::find(kCodes, failure.code) != std::end(kCodes) &&
         Environment("AWS_REQUEST_CHECKSUM_CALCULATION").empty();
}

// What the SDK does not repeat by itself: a server that objects to what became of a request on its
// way, and one whose words do not fit into the place of the small object that was asked for.
bool MayPass(const Failure& failure) {
  return failure.code == "IncompleteBody" || failure.code == "BadDigest" ||
         failure.message.starts_with("Failed to flush response stream");
}

}  // namespace

// Hears of every request that fails, on the thread that made it, and says whether to repeat it.
class S3Connection::Patience : public arrow::fs::S3RetryStrategy {
 public:
  explicit Patience(CancelToken cancel) : cancel_(cancel) {}

  bool ShouldRetry(const AWSErrorDetail& error, int64_t attempt) override {
    last_of_thread = FailureOf(error);
    int attempts = kS3Attempts;
    if (!reached_ && error.error_type == kNetworkConnection) attempts = kConnectAttempts;
    // The SDK corrects its clock by such an answer: once is enough.
    if (error.exception_name == "RequestTimeTooSkewed") attempts = 2;
    const bool passing = error.should_retry || MayPass(last_of_thread);
    const bool again = passing && !Stopped() && attempt + 1 < attempts;
    if (again) {
      ++retries_;
    } else {
      const std::lock_guard lock(mutex_);
      last_ = last_of_thread;
    }
    return again;
  }

  int64_t CalculateDelayBeforeNextRetry(const AWSErrorDetail&, int64_t attempt) override {
    return Delay(attempt).count();
  }

  bool Wait(int attempt) {
    if (attempt + 1 >= kS3Attempts || Stopped()) return false;
    ++retries_;
    std::this_thread::sleep_for(Delay(attempt));
    return !Stopped();
  }

  void Reached() { reached_ = true; }
  void Stop() { stop_ = true; }
  int64_t retries() const { return retries_; }
  Failure last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  bool Stopped() const { return stop_ || (cancel_.requested()); }

  const CancelToken cancel_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> reached_ = false;
  std::atomic<int64_t> retries_ = 0;
  mutable std::mutex mutex_;  // for last_
  Failure last_;              // of those that were not repeated
};

arrow::Result<std::unique_ptr<S3Connection>> S3Connection::Open(const std::string& uri,
                                                                const S3Options& options,
                                                                CancelToken cancel) {
  ARROW_ASSIGN_OR_RAISE(const std::string normal, NormalS3Uri(uri));
  const std::string path = S3ArrowPath(normal);
  const std::string bucket = path.substr(0, path.find('/'));
  if (bucket.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
      std::string::npos) {
    return arrow::Status::Invalid("'", bucket, "' is not a valid name of a bucket");
  }
  ARROW_RETURN_NOT_OK(LoadModule());

  std::string endpoint = options.endpoint;
  if (endpoint.empty()) endpoint = Environment("AWS_ENDPOINT_URL_S3");
  if (endpoint.empty()) endpoint = Environment("AWS_ENDPOINT_URL");
  endpoint = WithoutSlashes(endpoint);

  std::unique_ptr<S3Connection> connection(new S3Connection);
  connection->patience_ = std::make_shared<Patience>(cancel);
  // With delayed open, what fits into one request is written by one.
  std::string query = "?allow_delayed_open=true";
  if (endpoint.empty()) {
    connection->server_ = kAws;
  } else {
    connection->server_ = endpoint;
    const size_t scheme_end = endpoint.find("://");
    std::string scheme = scheme_end == std::string::npos ? "https" : endpoint.substr(0, scheme_end);
    std::ranges::transform(scheme, scheme.begin(), [](unsigned char c) { return std::tolower(c); });
    if (scheme != "http" && scheme != "https") {
      return arrow::Status::Invalid("S3 endpoint '", endpoint, "': expected http:// or https://");
    }
    const std::string host =
        scheme_end == std::string::npos ? endpoint : endpoint.substr(scheme_end + 3);
    connection->encrypted_ = scheme == "https";
    query += "&scheme=" + scheme + "&endpoint_override=" + arrow::util::UriEscape(host);
    // Arrow asks AWS for a bucket's region; other servers have one, or take any.
    std::string region = Environment("AWS_REGION");
    if (region.empty()) region = Environment("AWS_DEFAULT_REGION");
    query += "&region=" + (region.empty() ? "us-east-1" : arrow::util::UriEscape(region));
  }

  // Arrow's wheel would look where the distribution that built it keeps them.
  if (const std::string authorities = AuthoritiesFile(); !authorities.empty()) {
    if (access(authorities.c_str(), R_OK) != 0) {
      return arrow::Status::IOError("AWS_CA_BUNDLE: cannot read ", authorities);
    }
    query += "&tls_ca_file_path=" + arrow::util::UriEscape(authorities);
  }

  // The SDK's threads stay in the process that started it; a forked child that uses it all the same
  // crashes when it ends.
  static const pid_t process = getpid();
  if (getpid() != process) {
    return arrow::Status::UnknownError(
        "S3 was used before this process was forked, which the S3 library does not outlive: start "
        "processes by \"spawn\" or \"forkserver\", or use S3 in the children only");
  }
  ARROW_ASSIGN_OR_RAISE(connection->executor_, ThreadPool::Make(kS3RequestsAtOnce));
  arrow::fs::FileSystemFactoryOptions extra = {
      {"retry_strategy", std::shared_ptr<arrow::fs::S3RetryStrategy>(connection->patience_)}};
  connection->anonymous_ = options.anonymous;
  if (options.anonymous) {
    // Empty keys sign nothing.
    extra.emplace_back("access_key", std::string());
    extra.emplace_back("secret_key", std::string());
  }
  auto files = arrow::fs::FileSystemFromUriAndOptions(
      "s3://" + bucket + query, extra,
      arrow::io::IOContext(arrow::default_memory_pool(), connection->executor_.get()));
  // The SDK, running since just now, has to end before its static objects do.
  [[maybe_unused]] static const int registered = std::atexit([] { arrow::fs::EnsureFinalized(); });
  if (!files.ok()) return connection->Explain("cannot reach", "s3://" + bucket, files.status());
  connection->files_ = *std::move(files);
  return connection;
}

S3Connection::~S3Connection() { Stop(); }

void S3Connection::Stop() {
  patience_->Stop();
  // A second time, it says that there was a first.
  if (executor_) (void)executor_->Shutdown(/*wait=*/false);
}

int64_t S3Connection::retries() const { return patience_->retries(); }

bool S3Connection::WaitToRetry(int attempt) const { return patience_->Wait(attempt); }

void S3Connection::Reached() { patience_->Reached(); }

void S3Connection::ForgetFailure() const { last_of_thread = {}; }

std::optional<Reject> S3Connection::RejectOfThisThread() const {
  const Failure& failure = last_of_thread;
  if (failure.code == "NoSuchKey" || (failure.code.empty() && failure.type == kNotFound)) {
    return GoneReject();
  }
  if (failure.code == "AccessDenied" || (failure.code.empty() && failure.type == kAccessDenied)) {
    return Reject{Stage::kRead, Reason::kForbidden, "permission denied"};
  }
  return std::nullopt;
}

arrow::Status S3Connection::Explain(std::string_view what, const std::string& uri,
                                    const arrow::Status& status) const {
  // "... AWS Error <SDK's name> during <operation> operation: <message>"; what Arrow says by itself
  // was no request's fault.
  constexpr std::string_view kError = "AWS Error ", kMessage = " operation: ";
  const std::string& text = status.message();
  const size_t at = text.find(kError);
  Failure failure = at == std::string::npos ? Failure{} : patience_->last();
  if (failure.code.empty() && failure.type != kNetworkConnection && at != std::string::npos) {
    // An answer without a body, or a request that was not ours.
    const size_t begin = at + kError.size();
    failure.code = text.substr(begin, text.find(" during", begin) - begin);
    const size_t http = failure.code.find("HTTP status");
    if (http != std::string::npos) failure.code = failure.code.substr(http, 15);
    if (failure.message.empty() && text.find(kMessage) != std::string::npos) {
      failure.message = text.substr(text.find(kMessage) + kMessage.size());
    }
    if (failure.code == "NETWORK_CONNECTION") {
      failure.type = kNetworkConnection;
      failure.code.clear();
    }
    if (failure.message == "No response body.") failure.message = "the server does not say why";
  }
  std::string why = std::string(Meaning(failure));
  if (why.empty() && failure.type == kNetworkConnection) {
    why = "no connection to " + server_ + ": " + ConnectionProblem(failure.message);
  }
  if (why.empty()) why = failure.message.empty() ? status.message() : failure.message;
  if (!failure.code.empty()) why += " (" + failure.code + ")";

  const bool denied = failure.type == kAccessDenied || failure.code == "AccessDenied" ||
                      failure.code == "MissingContentLength";
  const std::string lacking = denied && !anonymous_ ? WhyNoCredentials() : "";
  if (!lacking.empty()) {
    why += "; " + lacking;
  } else if (server_ != kAws && RefusesChecksums(what, failure)) {
    why +=
        "; with AWS_REQUEST_CHECKSUM_CALCULATION=when_required in the environment, uploads have "
        "a form that other servers than AWS' take";
  } else if (what == "cannot remove" && failure.code == "NotImplemented") {
    why +=
        "; the server cannot remove several objects by one request: remove what is below it with "
        "the server's own tools";
  } else if (failure.type == kNetworkConnection && server_ != kAws &&
             server_.find("://") == std::string::npos) {
    why += "; the endpoint is taken for https, name http://" + server_ + " if it has no TLS";
  }
  return arrow::Status::IOError(what, " ", uri, ": ", why);
}

}  // namespace pomona
