// A server of HTTP whose answers a test makes.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace pomona {

struct FakeAnswer {
  int status = 200;
  std::string body;
  std::string headers = "";  // each with its line's end
};

// Listens on a port of its own and answers one request after the other, each by a connection of its
// own. What it calls gets the head of a request.
class FakeServer {
 public:
  explicit FakeServer(std::function<FakeAnswer(const std::string& head)> answer)
      : answer_(std::move(answer)), socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(socket_, reinterpret_cast<sockaddr*>(&address), size);
    listen(socket_, 64);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeServer() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  const std::string& url() const { return url_; }

 private:
  void Serve() {
    for (int client; (client = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      std::string head;
      char byte;
      while (!head.ends_with("\r\n\r\n") && recv(client, &byte, 1, 0) == 1) head += byte;
      if (head.ends_with("\r\n\r\n")) {
        const FakeAnswer answer = answer_(head);
        const std::string text =
            "HTTP/1.1 " + std::to_string(answer.status) + " Fake\r\nconnection: close\r\n" +
            "content-length: " + std::to_string(answer.body.size()) + "\r\n" + answer.headers +
            "\r\n" + (head.starts_with("HEAD ") ? "" : answer.body);
        (void)!send(client, text.data(), text.size(), MSG_NOSIGNAL);
      }
      close(client);
    }
  }

  const std::function<FakeAnswer(const std::string&)> answer_;
  const int socket_;
  std::string url_;
  std::thread thread_;
};

}  // namespace pomona
