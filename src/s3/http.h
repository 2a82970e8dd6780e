// HTTP/1.1 as a client: requests over connections that are kept.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pomona {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// With letters of ASCII made small.
std::string LowerCase(std::string_view text);

// Whom requests go to.
struct HttpServer {
  bool tls = true;
  std::string host;  // a name or an address, IPv6 without brackets
  int port = 443;

  // As in a URL, with the port where it is not the scheme's own.
  std::string Authority() const;
  std::string Url() const { return (tls ? "https://" : "http://") + Authority(); }
  auto operator<=>(const HttpServer&) const = default;
};

struct HttpUrl {
  HttpServer server;
  std::string target;  // path and query; "/" at least
  std::string user;    // what stands before an @
};

// Errors: Invalid where it is no http:// or https:// URL with a host.
arrow::Result<HttpUrl> ParseHttpUrl(std::string_view url);

struct HttpRequest {
  std::string_view method = "GET";
  std::string target = "/";
  HttpHeaders headers;  // names in lower case; host and content-length are added
  std::span<const uint8_t> body;
  int64_t most = int64_t{16} << 20;  // bytes that the answer's body may have
  bool once = false;  // by a new connection: on a kept one it may have to be repeated
};

struct HttpAnswer {
  int status = 0;
  HttpHeaders headers;  // names in lower case
  std::vector<uint8_t> body;

  // From asking for it, a new connection included, to its first and its last byte.
  double first_byte_seconds = 0;
  double seconds = 0;

  bool ok() const { return status / 100 == 2; }
  // "" where there is none.
  std::string_view Header(std::string_view name) const;
  std::string_view text() const {
    return {reinterpret_cast<const char*>(body.data()), body.size()};
  }
};

// Why no answer came, as the detail of an IOError.
enum class HttpProblem {
  kUnreachable,  // no connection
  kUntrusted,    // the server's certificate is not to be believed
  kBroken,       // the connection broke
  kSilent,       // nothing came for too long
  kNonsense,     // what came is not HTTP, or larger than asked for
};
class HttpFailure : public arrow::StatusDetail {
 public:
  explicit HttpFailure(HttpProblem problem) : problem_(problem) {}
  const char* type_id() const override { return "pomona::HttpFailure"; }
  std::string ToString() const override { return "HTTP"; }
  HttpProblem problem() const { return problem_; }

 private:
  const HttpProblem problem_;
};
arrow::Status HttpError(HttpProblem problem, const std::string& message);
// Null where the status is none of these.
const HttpFailure* HttpFailureOf(const arrow::Status& status);

// Reads answers, one after the other, from what `receive` brings: up to so many bytes, 0 at the
// end. What it brings may be anything.
class AnswerReader {
 public:
  using Receive = std::function<arrow::Result<size_t>(std::span<uint8_t>)>;
  explicit AnswerReader(Receive receive);

  // `head_only`: the answer has no body whatever its head says. Errors: HttpProblem::kNonsense,
  // kBroken where the end comes early, those of `receive`.
  arrow::Result<HttpAnswer> Read(bool head_only, int64_t most);

  // Whether another answer may follow on this connection.
  bool reusable() const { return reusable_ && begin_ == end_; }

 private:
  arrow::Status Fill();
  arrow::Result<std::string_view> ReadLine();
  arrow::Status ReadBytes(size_t size, std::vector<uint8_t>* body);
  arrow::Status ReadChunks(int64_t most, std::vector<uint8_t>* body);
  arrow::Status ReadToEnd(int64_t most, std::vector<uint8_t>* body);

  const Receive receive_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0, end_ = 0;  // what of it is not used yet
  bool reusable_ = true;
};

// Keeps connections, addresses and TLS sessions, and goes by way of the proxies that the usual
// variables name.
//
// Threads: safe to share; a thread waits for its answer.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // `patience`: without a byte of progress. Errors: IOError with an HttpFailure.
  arrow::Result<HttpAnswer> Send(const HttpServer& server, const HttpRequest& request,
                                 std::chrono::milliseconds patience);

  // A request that was sent, with the connection that its answer comes by. The client outlives it.
  struct Pending;

  // Sends a request and leaves the waiting for later, so that a thread may wait for many. Null where
  // no kept connection is free: to connect is to wait.
  std::shared_ptr<Pending> TrySend(const HttpServer& server, const HttpRequest& request,
                                   std::chrono::milliseconds patience);

  // Waits for the last of them, so that the others have come too and one waking serves for all, but
  // no longer than `most`. Says which are due: something came, or nothing for too long. It may be
  // none. REQUIRES: none was received, and there are some.
  static void Wait(std::span<Pending* const> pending, std::chrono::milliseconds most,
                   std::vector<bool>* due);

  // As Send(): the answer to the request that was sent. Nothing where the server never saw it, most
  // likely. REQUIRES: not yet received.
  std::optional<arrow::Result<HttpAnswer>> Receive(Pending& pending, const HttpRequest& request);

  // Breaks off what is under way and takes no more.
  void Stop();

 private:
  class Connection;
  struct Addresses;

  std::unique_ptr<Connection> TakeIdle(const HttpServer& server);
  arrow::Result<std::unique_ptr<Connection>> Connect(const HttpServer& server,
                                                     std::chrono::milliseconds patience);
  arrow::Result<int> Dial(const HttpServer& server, std::chrono::milliseconds patience);
  arrow::Status Begin(Pending& pending, const HttpRequest& request);
  void Release(Pending& pending, bool reusable = false);

  const std::unique_ptr<const class Proxies> proxies_;
  std::once_flag tls_made_;
  std::mutex mutex_;  // for what is below
  bool stopped_ = false;
  std::map<HttpServer, std::vector<std::unique_ptr<Connection>>> idle_;
  std::set<int> busy_;  // sockets
  std::map<std::pair<std::string, int>, Addresses> addresses_;
  std::unique_ptr<class Tls> tls_;
  arrow::Status tls_status_;
};

}  // namespace pomona
