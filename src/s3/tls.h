// TLS over a connected socket, by OpenSSL, which no other file knows.
//
// OpenSSL is linked statically and hidden: the process may hold others, Arrow's and Python's.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

namespace pomona {

// The file of the authorities that TLS believes; empty where OpenSSL's own variables name others.
std::string AuthoritiesFile();

// What connections have in common: the authorities, and for each server a session to resume.
//
// Threads: safe to share.
class Tls {
 public:
  // Errors: IOError where the authorities cannot be read.
  static arrow::Result<std::unique_ptr<Tls>> Make();
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  // One connection. Threads: one at a time.
  class Stream {
   public:
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // As recv() and send() do, errno too: they wait as long as the socket does.
    ssize_t Receive(std::span<uint8_t> bytes);
    ssize_t Send(std::span<const uint8_t> bytes);

    // Whether bytes were read from the socket that nobody has received.
    bool HasPending() const;

   private:
    friend class Tls;
    Stream(Tls* tls, ssl_st* ssl, std::string name)
        : tls_(tls), ssl_(ssl), name_(std::move(name)) {}

    Tls* const tls_;
    ssl_st* const ssl_;
    const std::string name_;
    bool session_kept_ = false;
  };

  // Shakes hands; the server has to prove that it is `host`. Errors: HttpProblem::kUntrusted,
  // kUnreachable.
  arrow::Result<std::unique_ptr<Stream>> Connect(int socket, const std::string& host);

 private:
  explicit Tls(ssl_ctx_st* context) : context_(context) {}
  void KeepSession(ssl_st* ssl, const std::string& name);

  ssl_ctx_st* const context_;
  std::mutex mutex_;
  std::map<std::string, ssl_session_st*> sessions_;  // by host
};

}  // namespace pomona
