#include "s3/proxies.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

#include "environment.h"

namespace pomona {
namespace {

std::string Either(const char* one, const char* other) {
  std::string value = Environment(one);
  return value.empty() ? Environment(other) : value;
}

// Nothing where none is named.
std::optional<arrow::Result<HttpUrl>> Parse(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return ParseHttpUrl(text.find("://") == text.npos ? "http://" + text : text);
}

// The 4 or 16 bytes of an address; none where it is a name.
std::vector<uint8_t> AddressOf(const std::string& host) {
  std::vector<uint8_t> bytes(sizeof(in6_addr));
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(sizeof(in_addr));
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) != 1) bytes.clear();
  return bytes;
}

// Whether the network, an address or 10.0.0.0/8, has the host's address.
bool HasAddress(std::string_view network, const std::string& host) {
  const size_t slash = std::min(network.find('/'), network.size());
  const auto first = AddressOf(std::string(network.substr(0, slash)));
  const auto address = AddressOf(host);
  if (first.empty() || first.size() != address.size()) return false;
  size_t bits = 8 * first.size();
  if (slash < network.size()) {
    const char* const end = network.data() + network.size();
    size_t number = 0;
    const auto read = std::from_chars(network.data() + slash + 1, end, number);
    if (read.ec != std::errc() || read.ptr != end || number > bits) return false;
    bits = number;
  }
  for (size_t i = 0; i < bits; ++i) {
    if ((first[i / 8] ^ address[i / 8]) >> (7 - i % 8) & 1) return false;
  }
  return true;
}

}  // namespace

Proxies::Proxies() {
  https_ = Parse(Either("https_proxy", "HTTPS_PROXY"));
  // In a program that a web server started, the second one may be a visitor's.
  const bool visitors = !Environment("REQUEST_METHOD").empty();
  http_ = Parse(visitors ? Environment("http_proxy") : Either("http_proxy", "HTTP_PROXY"));
  std::string names = LowerCase(Either("no_proxy", "NO_PROXY"));
  std::ranges::replace(names, ' ', ',');
  for (size_t begin = 0; begin < names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    if (end > begin) without_.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
}

arrow::Result<const HttpUrl*> Proxies::For(const HttpServer& server) const {
  const auto& proxy = server.tls ? https_ : http_;
  if (!proxy) return nullptr;
  const std::string host = LowerCase(server.host);
  // What gives an instance or a container its credentials is meant for it alone. No proxy reaches
  // this machine's own servers either.
  if (host == "localhost") return nullptr;
  for (const std::string_view local :
       {"127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10", "fd00:ec2::/32"}) {
    if (HasAddress(local, host)) return nullptr;
  }
  for (std::string_view name : without_) {
    if (name == "*") return nullptr;
    // IPv6 stands in brackets, at least where a port follows.
    const size_t bracket = name.starts_with('[') ? name.find(']') : name.npos;
    const size_t colon = name.find(':', bracket == name.npos ? 0 : bracket);
    if (colon != name.npos && name.rfind(':') == colon) {
      if (name.substr(colon + 1) != std::to_string(server.port)) continue;
      name = name.substr(0, colon);
    }
    if (bracket != name.npos) name = name.substr(1, bracket - 1);
    if (HasAddress(name, host)) return nullptr;
    if (name.starts_with("*")) name.remove_prefix(1);
    if (name.starts_with('.')) name.remove_prefix(1);
    if (name.empty() || !host.ends_with(name)) continue;
    if (host.size() == name.size() || host[host.size() - name.size() - 1] == '.') return nullptr;
  }
  if (!proxy->ok() || (*proxy)->server.tls) {
    return HttpError(HttpProblem::kUntrusted,
                     std::string(server.tls ? "HTTPS_PROXY" : "HTTP_PROXY") +
                         " does not name a proxy as http://HOST:PORT");
  }
  return &**proxy;
}

}  // namespace pomona
