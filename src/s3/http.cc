#include "s3/http.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base64.h"
#include "s3/proxies.h"
#include "s3/tls.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kBufferBytes = size_t{16} << 10;
constexpr int kMostHeaders = 256;
// An announced length is believed so far.
constexpr size_t kTrusted = size_t{1} << 20;
// And so far addresses are set aside for it, so that what came need not be copied again and again.
constexpr size_t kReserved = size_t{8} << 20;
// A small body goes with the head.
constexpr size_t kTogether = size_t{16} << 10;
// Servers give up what is idle; it is looked at before it is used again.
constexpr std::chrono::seconds kLookAfter{1};
constexpr std::chrono::seconds kAddressesKept{60};
// Who is there takes a connection soon, however long its answers take.
constexpr milliseconds kConnectPatience{10'000};

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The whole text, as a number without a sign.
std::optional<int64_t> Number(std::string_view text, int base = 10) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < 0) {
    return std::nullopt;
  }
  return number;
}

arrow::Status Nonsense(const std::string& what) {
  return HttpError(HttpProblem::kNonsense, "the server's answer makes no sense: " + what);
}

arrow::Status Silent() {
  return HttpError(HttpProblem::kSilent, "the server did not answer in time");
}

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// With what stands as %HH in a URL.
std::string Unescaped(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '%' ? Number(text.substr(i + 1, 2), 16) : std::nullopt;
    plain += code ? static_cast<char>(*code) : text[i];
    if (code) i += 2;
  }
  return plain;
}

}  // namespace

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  });
  return lower;
}

std::string HttpServer::Authority() const {
  const std::string name = host.find(':') == host.npos ? host : '[' + host + ']';
  return port == (tls ? 443 : 80) ? name : name + ':' + std::to_string(port);
}

arrow::Result<HttpUrl> ParseHttpUrl(std::string_view url) {
  HttpUrl parsed;
  const auto wrong = [&] { return arrow::Status::Invalid(url, ": expected http:// or https://"); };
  const size_t scheme_end = url.find("://");
  if (scheme_end == url.npos) return wrong();
  const std::string scheme = LowerCase(url.substr(0, scheme_end));
  if (scheme != "http" && scheme != "https") return wrong();
  parsed.server.tls = scheme == "https";
  std::string_view rest = url.substr(scheme_end + 3);
  const size_t path = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, path);
  rest = rest.substr(path);
  rest = rest.substr(0, rest.find('#'));
  parsed.target = rest.starts_with('/') ? std::string(rest) : '/' + std::string(rest);
  if (const size_t at = authority.rfind('@'); at != authority.npos) {
    parsed.user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == authority.npos) return wrong();
    parsed.server.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && port.front() != ':') return wrong();
  } else {
    const size_t colon = std::min(authority.find(':'), authority.size());
    parsed.server.host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  parsed.server.port = parsed.server.tls ? 443 : 80;
  if (port.size() > 1) {
    const auto number = Number(port.substr(1));
    if (!number || *number == 0 || *number > 65535) return wrong();
    parsed.server.port = static_cast<int>(*number);
  }
  // What would end the request's line, or the header, early.
  const auto odd = [](char c) { return c >= 0 && c <= ' '; };
  if (parsed.server.host.empty() || std::ranges::any_of(url, odd)) return wrong();
  return parsed;
}

std::string_view HttpAnswer::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

arrow::Status HttpError(HttpProblem problem, const std::string& message) {
  return {arrow::StatusCode::IOError, message, std::make_shared<HttpFailure>(problem)};
}

const HttpFailure* HttpFailureOf(const arrow::Status& status) {
  return dynamic_cast<const HttpFailure*>(status.detail().get());
}

AnswerReader::AnswerReader(Receive receive) : receive_(std::move(receive)), buffer_(kBufferBytes) {}

// Errors: kBroken at the end.
arrow::Status AnswerReader::Fill() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  ARROW_ASSIGN_OR_RAISE(const size_t read, receive_(std::span(buffer_).subspan(end_)));
  if (read == 0) return HttpError(HttpProblem::kBroken, "the server cut its answer short");
  end_ += read;
  return arrow::Status::OK();
}

// Valid until the next call.
arrow::Result<std::string_view> AnswerReader::ReadLine() {
  for (size_t seen = 0;;) {
    const std::string_view there(reinterpret_cast<const char*>(buffer_.data()) + begin_,
                                 end_ - begin_);
    if (const size_t end = there.find('\n', seen); end != there.npos) {
      begin_ += end + 1;
      return there.substr(0, end > 0 && there[end - 1] == '\r' ? end - 1 : end);
    }
    seen = there.size();
    if (seen == buffer_.size()) return Nonsense("a line without end");
    ARROW_RETURN_NOT_OK(Fill());
  }
}

// Appends so many bytes.
arrow::Status AnswerReader::ReadBytes(size_t size, std::vector<uint8_t>* body) {
  const size_t there = std::min(size, end_ - begin_);
  if (body->empty()) body->reserve(std::min(size, kReserved));
  body->insert(body->end(), buffer_.begin() + static_cast<ptrdiff_t>(begin_),
               buffer_.begin() + static_cast<ptrdiff_t>(begin_ + there));
  begin_ += there;
  for (size_t left = size - there; left > 0;) {
    const size_t at = body->size();
    // Room is made for what has come, not for what was announced.
    body->resize(at + std::min(left, std::max(at, kTrusted)));
    const size_t end = body->size();
    left -= end - at;
    for (size_t filled = at; filled < end;) {
      ARROW_ASSIGN_OR_RAISE(const size_t read, receive_(std::span(*body).subspan(filled)));
      if (read == 0) return HttpError(HttpProblem::kBroken, "the server cut its answer short");
      filled += read;
    }
  }
  return arrow::Status::OK();
}

arrow::Status AnswerReader::ReadChunks(int64_t most, std::vector<uint8_t>* body) {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(const std::string_view line, ReadLine());
    const auto size = Number(Trimmed(line.substr(0, line.find(';'))), 16);
    if (!size) return Nonsense("the size of a chunk");
    if (*size == 0) break;
    if (*size > most - static_cast<int64_t>(body->size())) return Nonsense("it is too long");
    ARROW_RETURN_NOT_OK(ReadBytes(static_cast<size_t>(*size), body));
    ARROW_ASSIGN_OR_RAISE(const std::string_view end, ReadLine());
    if (!end.empty()) return Nonsense("the end of a chunk");
  }
  for (int trailers = 0; trailers < kMostHeaders; ++trailers) {
    ARROW_ASSIGN_OR_RAISE(const std::string_view trailer, ReadLine());
    if (trailer.empty()) return arrow::Status::OK();
  }
  return Nonsense("too many trailers");
}

arrow::Status AnswerReader::ReadToEnd(int64_t most, std::vector<uint8_t>* body) {
  for (;;) {
    if (begin_ == end_) {
      begin_ = end_ = 0;
      ARROW_ASSIGN_OR_RAISE(end_, receive_(buffer_));
      if (end_ == 0) return arrow::Status::OK();
    }
    if (static_cast<int64_t>(body->size() + end_ - begin_) > most)
      return Nonsense("it is too long");
    body->insert(body->end(), buffer_.begin() + static_cast<ptrdiff_t>(begin_),
                 buffer_.begin() + static_cast<ptrdiff_t>(end_));
    begin_ = end_;
  }
}

arrow::Result<HttpAnswer> AnswerReader::Read(bool head_only, int64_t most) {
  HttpAnswer answer;
  reusable_ = true;
  int64_t length = -1;
  bool chunked = false;
  // Answers that only announce another one are passed over.
  for (int announced = 0; answer.status / 100 < 2; ++announced) {
    ARROW_ASSIGN_OR_RAISE(const std::string_view first, ReadLine());
    const auto status = Number(first.substr(std::min<size_t>(9, first.size()), 3));
    if (!first.starts_with("HTTP/1.") || !status || *status < 100 || *status > 599 ||
        announced > 8) {
      return Nonsense("its first line");
    }
    answer.status = static_cast<int>(*status);
    reusable_ = first[7] != '0';
    answer.headers.clear();
    answer.headers.reserve(24);
    length = -1;
    chunked = false;
    for (;;) {
      ARROW_ASSIGN_OR_RAISE(const std::string_view line, ReadLine());
      if (line.empty()) break;
      const size_t colon = line.find(':');
      if (colon == line.npos || colon == 0 || answer.headers.size() == kMostHeaders) {
        return Nonsense("its headers");
      }
      std::string name = LowerCase(line.substr(0, colon));
      const std::string_view value = Trimmed(line.substr(colon + 1));
      if (name == "content-length") {
        const auto number = Number(value);
        if (!number || (length >= 0 && length != *number)) return Nonsense("its length");
        length = *number;
      } else if (name == "transfer-encoding") {
        if (LowerCase(value) != "chunked") return Nonsense("its encoding");
        chunked = true;
      } else if (name == "connection" && LowerCase(value).find("close") != std::string::npos) {
        reusable_ = false;
      }
      answer.headers.emplace_back(std::move(name), value);
    }
  }
  if (head_only || answer.status == 204 || answer.status == 304) return answer;
  if (length > most) return Nonsense("it is too long");
  if (chunked) {
    if (length >= 0) reusable_ = false;  // two that do not agree may follow one another
    ARROW_RETURN_NOT_OK(ReadChunks(most, &answer.body));
  } else if (length >= 0) {
    ARROW_RETURN_NOT_OK(ReadBytes(static_cast<size_t>(length), &answer.body));
  } else {
    reusable_ = false;
    ARROW_RETURN_NOT_OK(ReadToEnd(most, &answer.body));
  }
  return answer;
}

// A connected socket, with or without TLS, and what was read ahead from it.
class HttpClient::Connection {
 public:
  Connection(const HttpServer& peer, int connected)
      : server(peer),
        socket(connected),
        reader([this](std::span<uint8_t> bytes) { return Receive(bytes); }) {}
  ~Connection() {
    tls.reset();
    close(socket);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void SetPatience(milliseconds most) {
    if (most == patience) return;
    patience = most;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most);
    const timeval time{seconds.count(), 1000 * (most - seconds).count()};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  }

  arrow::Result<size_t> Receive(std::span<uint8_t> bytes) {
    for (;;) {
      const ssize_t read = tls ? tls->Receive(bytes) : recv(socket, bytes.data(), bytes.size(), 0);
      if (read > 0 && !answered) {
        answered = true;
        first_byte = Clock::now();
      }
      if (read >= 0) return static_cast<size_t>(read);
      if (errno != EINTR) return Broken();
    }
  }

  arrow::Status Send(std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t written =
          tls ? tls->Send(bytes) : send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (written >= 0) {
        bytes = bytes.subspan(static_cast<size_t>(written));
      } else if (errno != EINTR) {
        return Broken();
      }
    }
    return arrow::Status::OK();
  }

  // Whether the server has ended it, or said something that nobody asked for.
  bool Over() const {
    if (tls && tls->HasPending()) return true;
    if (Clock::now() - last_used < kLookAfter) return false;
    uint8_t byte;
    return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
  }

  const HttpServer server;
  const int socket;
  std::unique_ptr<Tls::Stream> tls;
  AnswerReader reader;
  milliseconds patience{0};
  Clock::time_point last_used;
  bool by_proxy = false;  // which is to be told the whole URL
  std::string proxy_authorization;
  bool answered = false;  // a byte of the answer came
  Clock::time_point first_byte;

 private:
  static arrow::Status Broken() {
    return errno == EAGAIN ? Silent() : HttpError(HttpProblem::kBroken, std::strerror(errno));
  }
};

struct HttpClient::Addresses {
  struct Address {
    sockaddr_storage address;
    socklen_t size;
  };
  std::vector<Address> all;
  size_t next = 0;  // servers of many addresses are asked in turn
  Clock::time_point found;
};

HttpClient::HttpClient() : proxies_(std::make_unique<const Proxies>()) {}
HttpClient::~HttpClient() = default;

void HttpClient::Stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const int socket : busy_) shutdown(socket, SHUT_RDWR);
  idle_.clear();
}

std::unique_ptr<HttpClient::Connection> HttpClient::TakeIdle(const HttpServer& server) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Connection> connection;
  if (const auto kept = idle_.find(server); kept != idle_.end()) {
    // The last one used: others may rest until their servers end them.
    while (!connection && !kept->second.empty()) {
      connection = std::move(kept->second.back());
      kept->second.pop_back();
      if (connection->Over()) connection.reset();
    }
  }
  return connection;
}

// A socket that is connected to the server.
arrow::Result<int> HttpClient::Dial(const HttpServer& server, milliseconds patience) {
  const auto failed = [](const std::string& why) {
    return HttpError(HttpProblem::kUnreachable, why);
  };
  std::vector<Addresses::Address> addresses;
  {
    const std::lock_guard lock(mutex_);
    Addresses& known = addresses_[{server.host, server.port}];
    if (Clock::now() - known.found < kAddressesKept && !known.all.empty()) {
      addresses = known.all;
      // No std::ranges::rotate: clang 14 does not know its result.
      std::rotate(addresses.begin(),
                  addresses.begin() + static_cast<ptrdiff_t>(known.next++ % addresses.size()),
                  addresses.end());
    }
  }
  if (addresses.empty()) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    const std::string port = std::to_string(server.port);
    int error = getaddrinfo(server.host.c_str(), port.c_str(), &hints, &found);
    if (error != 0) {
      // Numbers need no interface that could reach them.
      hints.ai_flags = AI_NUMERICHOST;
      if (getaddrinfo(server.host.c_str(), port.c_str(), &hints, &found) != 0) {
        return failed("Could not resolve host " + server.host + ": " + gai_strerror(error));
      }
    }
    for (const addrinfo* each = found; each; each = each->ai_next) {
      Addresses::Address address{};
      std::memcpy(&address.address, each->ai_addr, each->ai_addrlen);
      address.size = each->ai_addrlen;
      addresses.push_back(address);
    }
    freeaddrinfo(found);
    const std::lock_guard lock(mutex_);
    addresses_[{server.host, server.port}] = {addresses, 1, Clock::now()};
  }
  std::string why = "it has no address";
  for (const Addresses::Address& each : addresses) {
    const int fd = socket(each.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
      why = std::strerror(errno);
      continue;
    }
    int error = 0;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&each.address), each.size) != 0) {
      error = errno;
      if (error == EINPROGRESS) {
        pollfd waiting{fd, POLLOUT, 0};
        int ready;
        do {
          ready = poll(&waiting, 1, static_cast<int>(patience.count()));
        } while (ready < 0 && errno == EINTR);
        socklen_t size = sizeof error;
        error = ETIMEDOUT;
        if (ready > 0) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
    if (error == 0) {
      int flags = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &flags, sizeof flags);
      flags = 0;
      ioctl(fd, FIONBIO, &flags);
      return fd;
    }
    why = std::string("Could not connect: ") + std::strerror(error);
    close(fd);
  }
  // Its name may stand for others by now.
  const std::lock_guard lock(mutex_);
  addresses_.erase({server.host, server.port});
  return failed(why);
}

arrow::Result<std::unique_ptr<HttpClient::Connection>> HttpClient::Connect(const HttpServer& server,
                                                                           milliseconds patience) {
  ARROW_ASSIGN_OR_RAISE(const HttpUrl* proxy, proxies_->For(server));
  ARROW_ASSIGN_OR_RAISE(const int socket,
                        Dial(proxy ? proxy->server : server, std::min(patience, kConnectPatience)));
  auto connection = std::make_unique<Connection>(server, socket);
  connection->SetPatience(patience);
  if (proxy && !proxy->user.empty()) {
    connection->proxy_authorization = "Basic " + Base64(Bytes(Unescaped(proxy->user)));
  }
  if (proxy && server.tls) {
    const std::string to =
        (server.host.find(':') == std::string::npos ? server.host : '[' + server.host + ']') + ':' +
        std::to_string(server.port);
    std::string head = "CONNECT " + to + " HTTP/1.1\r\nhost: " + to + "\r\n";
    if (!connection->proxy_authorization.empty()) {
      head += "proxy-authorization: " + connection->proxy_authorization + "\r\n";
    }
    head += "\r\n";
    ARROW_RETURN_NOT_OK(
        connection->Send({reinterpret_cast<const uint8_t*>(head.data()), head.size()}));
    ARROW_ASSIGN_OR_RAISE(const HttpAnswer answer, connection->reader.Read(/*head_only=*/true, 0));
    if (!answer.ok()) {
      return HttpError(HttpProblem::kUnreachable, "the proxy " + proxy->server.Url() +
                                                      " answers with HTTP status " +
                                                      std::to_string(answer.status));
    }
    connection->answered = false;
  } else {
    connection->by_proxy = proxy != nullptr;
  }
  if (server.tls) {
    std::call_once(tls_made_, [this] {
      auto made = Tls::Make();
      tls_status_ = made.status();
      if (made.ok()) tls_ = *std::move(made);
    });
    if (!tls_) return HttpError(HttpProblem::kUntrusted, tls_status_.message());
    ARROW_ASSIGN_OR_RAISE(connection->tls, tls_->Connect(socket, server.host));
  }
  return connection;
}

struct HttpClient::Pending {
  Pending(HttpClient* its_client, std::chrono::milliseconds its_patience)
      : client(its_client), patience(its_patience), asked(Clock::now()) {}
  ~Pending() { client->Release(*this); }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  HttpClient* const client;
  const milliseconds patience;
  const Clock::time_point asked;
  std::unique_ptr<Connection> connection;  // null once the answer is there
  bool kept = false;                       // it served before
  bool silent = false;                     // for longer than is waited
  arrow::Status sent;
};

// Keeps the connection where it can be used again.
void HttpClient::Release(Pending& pending, bool reusable) {
  std::unique_ptr<Connection> connection = std::move(pending.connection);
  if (!connection) return;
  const std::lock_guard lock(mutex_);
  busy_.erase(connection->socket);
  if (!reusable || stopped_) return;  // which closes it, once nobody can break it off any more
  connection->last_used = Clock::now();
  idle_[connection->server].push_back(std::move(connection));
}

// Writes the request; `sent` says whether that failed, since the server may answer all the same.
// Errors: nothing was written.
arrow::Status HttpClient::Begin(Pending& pending, const HttpRequest& request) {
  Connection& connection = *pending.connection;
  const auto ends_line = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  for (const auto& [name, value] : request.headers) {
    if (std::ranges::any_of(value, ends_line)) {
      return arrow::Status::Invalid("the value of the header ", name, " holds a line's end");
    }
  }
  connection.SetPatience(pending.patience);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return HttpError(HttpProblem::kBroken, "it was broken off");
    busy_.insert(connection.socket);
  }
  std::string head;
  head.reserve(1024);
  head += request.method;
  head += ' ';
  if (connection.by_proxy) head += connection.server.Url();
  head += request.target;
  head += " HTTP/1.1\r\nhost: ";
  head += connection.server.Authority();
  head += "\r\n";
  for (const auto& [name, value] : request.headers) {
    head += name;
    head += ": ";
    head += value;
    head += "\r\n";
  }
  if (connection.by_proxy && !connection.proxy_authorization.empty()) {
    head += "proxy-authorization: " + connection.proxy_authorization + "\r\n";
  }
  if (!request.body.empty() || request.method == "PUT" || request.method == "POST") {
    head += "content-length: " + std::to_string(request.body.size()) + "\r\n";
  }
  head += "\r\n";
  std::span<const uint8_t> rest = request.body;
  if (rest.size() <= kTogether) {
    head.append(rest.begin(), rest.end());
    rest = {};
  }
  connection.answered = false;
  pending.sent = connection.Send({reinterpret_cast<const uint8_t*>(head.data()), head.size()});
  if (pending.sent.ok()) pending.sent = connection.Send(rest);
  return arrow::Status::OK();
}

std::optional<arrow::Result<HttpAnswer>> HttpClient::Receive(Pending& pending,
                                                             const HttpRequest& request) {
  Connection& connection = *pending.connection;
  // A server that refuses what is being sent says so, and ends the connection.
  arrow::Result<HttpAnswer> answer =
      pending.silent ? Silent() : connection.reader.Read(request.method == "HEAD", request.most);
  if (answer.ok()) {
    const auto since = [&](Clock::time_point time) {
      return std::chrono::duration<double>(time - pending.asked).count();
    };
    answer->first_byte_seconds = since(connection.first_byte);
    answer->seconds = since(Clock::now());
  } else if (!pending.sent.ok()) {
    answer = pending.sent;
  }
  // It ended a kept connection, most likely before it saw the request.
  const HttpFailure* failure = HttpFailureOf(answer.status());
  const bool unseen =
      pending.kept && !connection.answered && failure && failure->problem() == HttpProblem::kBroken;
  Release(pending, answer.ok() && pending.sent.ok() && connection.reader.reusable());
  if (unseen) return std::nullopt;
  return answer;
}

arrow::Result<HttpAnswer> HttpClient::Send(const HttpServer& server, const HttpRequest& request,
                                           milliseconds patience) {
  for (;;) {
    Pending pending(this, patience);
    if (!request.once) pending.connection = TakeIdle(server);
    pending.kept = pending.connection != nullptr;
    if (!pending.kept) {
      ARROW_ASSIGN_OR_RAISE(pending.connection, Connect(server, patience));
    }
    ARROW_RETURN_NOT_OK(Begin(pending, request));
    if (auto answer = Receive(pending, request)) return *std::move(answer);
  }
}

std::shared_ptr<HttpClient::Pending> HttpClient::TrySend(const HttpServer& server,
                                                         const HttpRequest& request,
                                                         milliseconds patience) {
  auto pending = std::make_shared<Pending>(this, patience);
  pending->connection = TakeIdle(server);
  pending->kept = true;
  if (!pending->connection || !Begin(*pending, request).ok()) return nullptr;
  return pending;
}

void HttpClient::Wait(std::span<Pending* const> pending, milliseconds most,
                      std::vector<bool>* due) {
  std::vector<pollfd> sockets;
  sockets.reserve(pending.size());
  auto first = Clock::now() + most;  // somebody's patience ends
  for (const Pending* each : pending) {
    sockets.push_back({each->connection->socket, POLLIN, 0});
    first = std::min(first, each->asked + each->patience);
  }
  const auto ahead = std::chrono::ceil<milliseconds>(first - Clock::now()).count();
  // An interruption comes to nothing but a round more.
  (void)poll(&sockets.back(), 1, static_cast<int>(std::max<int64_t>(ahead, 0)));
  (void)poll(sockets.data(), sockets.size(), 0);
  const Clock::time_point now = Clock::now();
  due->clear();
  for (size_t i = 0; i < sockets.size(); ++i) {
    const bool came = sockets[i].revents != 0;
    pending[i]->silent = !came && now >= pending[i]->asked + pending[i]->patience;
    due->push_back(came || pending[i]->silent);
  }
}

}  // namespace pomona
