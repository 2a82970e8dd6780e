// The token that `aws sso login` leaves, which single sign-on gives a role's credentials for.
#pragma once

#include <arrow/result.h>

#include <functional>
#include <string>

#include "s3/http.h"
#include "s3/profile.h"

namespace pomona {

struct SsoToken {
  std::string token;
  std::string region;  // of the service
};

// What a service answers.
using AskService = std::function<arrow::Result<HttpAnswer>(const HttpUrl&, HttpRequest)>;

// Of a profile. Where it has an sso_session, the token is refreshed a quarter of an hour before it
// expires, and stored for AWS' tools, as they do. Errors: IOError, with the cure.
arrow::Result<SsoToken> GetSsoToken(const ProfileSettings& settings, const AskService& ask);

}  // namespace pomona
