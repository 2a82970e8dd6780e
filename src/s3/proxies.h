// By way of whom servers are reached.
#pragma once

#include <arrow/result.h>

#include <optional>
#include <string>
#include <vector>

#include "s3/http.h"

namespace pomona {

// HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in either case, as they are when this is made.
//
// Threads: safe to share.
class Proxies {
 public:
  Proxies();

  // Null where the server is reached directly. Errors: HttpProblem::kUntrusted where the proxy is of
  // a kind that is not spoken here: requests must not go past it.
  arrow::Result<const HttpUrl*> For(const HttpServer& server) const;

 private:
  std::optional<arrow::Result<HttpUrl>> http_, https_;  // nothing where none is named
  std::vector<std::string> without_;                    // names of servers
};

}  // namespace pomona
