#include "s3/proxies.h"

#include <algorithm>
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
  // What gives an instance or a container its credentials is meant for it alone.
  for (const std::string_view local : {"169.254.", "fe80:", "fd00:ec2:"}) {
    if (host.starts_with(local)) return nullptr;
  }
  for (std::string_view name : without_) {
    if (name == "*") return nullptr;
    if (const size_t colon = name.rfind(':'); colon != name.npos && name.find(':') == colon) {
      if (name.substr(colon + 1) != std::to_string(server.port)) continue;
      name = name.substr(0, colon);
    }
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
