#include "s3/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "environment.h"
#include "s3/http.h"

namespace pomona {
namespace {

// Where distributions keep the authorities that sign servers' certificates.
constexpr const char* kAuthorities[] = {
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",    // Amazon Linux, Red Hat, Fedora
    "/etc/ssl/ca-bundle.pem",              // SUSE
    "/etc/ssl/cert.pem",                   // Alpine
};

std::string LastError() {
  char text[256] = "TLS failed";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

// SSL_set_tlsext_host_name, whose macro casts as C does.
bool AskForHost(SSL* ssl, const std::string& host) {
  return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                  const_cast<char*>(host.c_str())) == 1;
}

// OpenSSL's own way to a socket would raise SIGPIPE.
int SocketOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

int Transferred(BIO* bio, ssize_t size, int retry) {
  BIO_clear_retry_flags(bio);
  // A socket's time-out: the caller sees errno and gives up.
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(size);
}

int WriteTo(BIO* bio, const char* data, int size) {
  const ssize_t sent = send(SocketOf(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL);
  return Transferred(bio, sent, BIO_FLAGS_WRITE);
}

int ReadFrom(BIO* bio, char* data, int size) {
  const ssize_t read = recv(SocketOf(bio), data, static_cast<size_t>(size), 0);
  return Transferred(bio, read, BIO_FLAGS_READ);
}

long Control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* SocketMethod() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(made, WriteTo);
    BIO_meth_set_read(made, ReadFrom);
    BIO_meth_set_ctrl(made, Control);
    return made;
  }();
  return method;
}

bool IsAddress(const std::string& host) {
  uint8_t address[16];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

// What a call of SSL that gave `result` comes to, as recv() would say it.
ssize_t Outcome(SSL* ssl, int result) {
  const int error = errno;
  switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = error == EINTR ? EINTR : EAGAIN; break;
    case SSL_ERROR_SYSCALL: errno = error == 0 ? ECONNRESET : error; break;
    default: errno = ECONNRESET;  // damaged on its way, or cut without a farewell
  }
  ERR_clear_error();
  return -1;
}

}  // namespace

std::string AuthoritiesFile() {
  std::string bundle = Environment("AWS_CA_BUNDLE");
  if (!bundle.empty()) return bundle;
  if (!Environment("SSL_CERT_FILE").empty() || !Environment("SSL_CERT_DIR").empty()) return {};
  for (const char* path : kAuthorities) {
    if (access(path, R_OK) == 0) return path;
  }
  return {};
}

arrow::Result<std::unique_ptr<Tls>> Tls::Make() {
  // Nothing of this machine's configuration, which another OpenSSL may have been given; and nothing
  // is torn down at exit, while threads may still run.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (!context) return arrow::Status::IOError(LastError());
  std::unique_ptr<Tls> tls(new Tls(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY | SSL_MODE_RELEASE_BUFFERS);
  // Of a record otherwise the head is read from the socket first, and then the rest.
  SSL_CTX_set_read_ahead(context, 1);
  const std::string authorities = AuthoritiesFile();
  const bool read = authorities.empty()
                        ? SSL_CTX_set_default_verify_paths(context) == 1
                        : SSL_CTX_load_verify_file(context, authorities.c_str()) == 1;
  if (!read) {
    return arrow::Status::IOError("cannot read the certificates in ", authorities, ": ",
                                  LastError());
  }
  ERR_clear_error();
  return tls;
}

Tls::~Tls() {
  for (const auto& [name, session] : sessions_) SSL_SESSION_free(session);
  SSL_CTX_free(context_);
}

arrow::Result<std::unique_ptr<Tls::Stream>> Tls::Connect(int socket, const std::string& host) {
  std::unique_ptr<Stream> stream(new Stream(this, SSL_new(context_), host));
  SSL* ssl = stream->ssl_;
  BIO* bio = ssl ? BIO_new(SocketMethod()) : nullptr;
  if (!bio) return arrow::Status::OutOfMemory("out of memory");
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);
  const bool named = IsAddress(host)
                         ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1
                         : AskForHost(ssl, host) && SSL_set1_host(ssl, host.c_str()) == 1;
  if (!named) return HttpError(HttpProblem::kUntrusted, "its name cannot be checked");
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = sessions_.find(host); known != sessions_.end()) {
      SSL_set_session(ssl, known->second);
    }
  }
  ERR_clear_error();
  const int result = SSL_connect(ssl);
  if (result == 1) return stream;
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK) {
    ERR_clear_error();
    const std::string why = X509_verify_cert_error_string(verdict);
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH ||
        verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID) {
      return HttpError(HttpProblem::kUntrusted, "its certificate is not valid: " + why);
    }
    return HttpError(HttpProblem::kUntrusted, "its certificate is not signed by a trusted CA (" +
                                                  why + "); AWS_CA_BUNDLE may name a file of CAs");
  }
  if (SSL_get_error(ssl, result) == SSL_ERROR_SSL) {
    return HttpError(HttpProblem::kUnreachable,
                     "it does not speak TLS as it should: " + LastError());
  }
  ERR_clear_error();
  return HttpError(HttpProblem::kUnreachable, "the connection ended before TLS was agreed on");
}

// One that can be resumed comes with the first answer, after the handshake.
void Tls::KeepSession(SSL* ssl, const std::string& name) {
  SSL_SESSION* session = SSL_get1_session(ssl);
  if (session && SSL_SESSION_is_resumable(session)) {
    const std::lock_guard lock(mutex_);
    std::swap(sessions_[name], session);
  }
  SSL_SESSION_free(session);
}

Tls::Stream::~Stream() { SSL_free(ssl_); }

ssize_t Tls::Stream::Receive(std::span<uint8_t> bytes) {
  size_t read = 0;
  errno = 0;
  const int result = SSL_read_ex(ssl_, bytes.data(), bytes.size(), &read);
  if (result != 1) return Outcome(ssl_, result);
  if (!session_kept_) {
    session_kept_ = true;
    tls_->KeepSession(ssl_, name_);
  }
  return static_cast<ssize_t>(read);
}

bool Tls::Stream::HasPending() const { return SSL_has_pending(ssl_) == 1; }

ssize_t Tls::Stream::Send(std::span<const uint8_t> bytes) {
  size_t sent = 0;
  errno = 0;
  const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &sent);
  return result == 1 ? static_cast<ssize_t>(sent) : Outcome(ssl_, result);
}

}  // namespace pomona
