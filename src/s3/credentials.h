// Whose requests are: the credentials that AWS' own tools would take.
#pragma once

#include <arrow/result.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "s3/http.h"
#include "s3/profile.h"
#include "s3/signature.h"

namespace pomona {

// Looks for credentials in the environment, the profile (keys, a role, single sign-on, a process),
// a web identity, the container and the instance, in this order, and renews in time what expires:
// one thread does, and those that are still good serve the others meanwhile.
//
// Threads: safe to share.
class CredentialsChain {
 public:
  using Clock = std::chrono::system_clock;

  // The client outlives this. `now`: what gives the time.
  explicit CredentialsChain(HttpClient* client, std::function<Clock::time_point()> now = Clock::now)
      : client_(*client), now_(std::move(now)) {}

  // Nobody's where there never were any. Errors: IOError where what is named gives none, or what
  // gave some does not any more.
  arrow::Result<Credentials> Get();

  // Whether there were some: then an error may pass.
  bool given() const;

  // Those are refused: the next Get() looks anew, if they were not the environment's. Returns
  // whether there is hope.
  bool Renew(const Credentials& refused);

 private:
  arrow::Result<Credentials> Find();
  arrow::Result<Credentials> OfProfile(const std::string& name, int depth);
  arrow::Result<Credentials> OfSso(const ProfileSettings& settings);
  arrow::Result<Credentials> OfContainer();
  arrow::Result<Credentials> OfInstance();
  arrow::Result<Credentials> AssumeRole(const std::string& role, const std::string& session,
                                        const std::string& external_id, const Credentials& with);
  arrow::Result<Credentials> OfWebIdentity(const std::string& role, const std::string& session,
                                           const std::string& token_file);
  // What a security service answers to a form.
  arrow::Result<Credentials> AskSts(const std::string& form, const Credentials* with);
  arrow::Result<HttpAnswer> Ask(const HttpUrl& url, HttpRequest request, int seconds);

  // What Get() gives without a search; nothing where it takes one. `looked_for`: by somebody else.
  std::optional<arrow::Result<Credentials>> Known(bool looked_for) const;

  HttpClient& client_;
  const std::function<Clock::time_point()> now_;
  std::mutex looking_;        // held by the one that does
  mutable std::mutex mutex_;  // for what is below
  std::optional<Credentials> held_;
  bool refused_ = false;        // those
  Clock::time_point next_try_;  // to get them
  arrow::Status failed_;        // the last time
};

// Why there are none, in the user's words; empty where there may be some. What the role of a machine
// gives is not asked for.
std::string WhyNoCredentials();

}  // namespace pomona
