// The connection behind s3:// paths: the requests that S3 knows, with our patience and our words.
#pragma once

#include <arrow/result.h>
#include <arrow/util/thread_pool.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/durations.h"
#include "pomona/item.h"
#include "pomona/location.h"
#include "pomona/options.h"
#include "pomona/transfers.h"
#include "s3/answers.h"
#include "s3/credentials.h"
#include "s3/http.h"

namespace pomona {

// What the bucket calls an object, or "" for the bucket itself. REQUIRES: a normal URI.
inline std::string S3Key(std::string_view uri) {
  const size_t slash = uri.find('/', std::string_view("s3://").size());
  return std::string(slash == uri.npos ? "" : uri.substr(slash + 1));
}

// Of an object that was listed and is not there any more.
inline Reject GoneReject() { return {Stage::kRead, Reason::kMissing, "no longer there"}; }

// Why a request came to nothing, as the detail of an IOError.
class S3Failure : public arrow::StatusDetail {
 public:
  S3Failure(int http_status, std::string s3_code, std::optional<HttpProblem> http_problem)
      : status(http_status), code(std::move(s3_code)), problem(http_problem) {}
  const char* type_id() const override { return "pomona::S3Failure"; }
  std::string ToString() const override { return code; }

  const int status;        // HTTP's; 0 where there was no answer
  const std::string code;  // S3's name of the error; may be empty
  const std::optional<HttpProblem> problem;

  // Null where the status is of another kind.
  static const S3Failure* Of(const arrow::Status& status);
};

// Whether no object of this key is there, by what a request for it came to.
bool IsNoSuchKey(const arrow::Status& status);
// Whether a condition of the request did not hold: somebody else wrote the object.
bool IsConditionFailed(const arrow::Status& status);

struct S3Object {
  int64_t size = 0;
  std::string etag;             // without its quotes
  bool etag_is_digest = false;  // of the bytes, unless the object was written in several parts
};

inline constexpr int kS3Attempts = 16;
inline constexpr int kS3RequestsAtOnce = 128;

// No larger object is fetched whole, whatever the server says.
inline constexpr int64_t kMostObjectBytes = int64_t{1} << 30;

// A bucket, reached. Requests that fail for a passing reason (500, 503, too many requests,
// timeouts, connections that break, answers cut short) are repeated up to kS3Attempts times, at
// growing, jittered intervals: half a minute in all.
//
// Threads: safe to share. Errors: IOError with an S3Failure, to be explained, unless said
// otherwise.
class S3Connection {
 public:
  // `uri`: of the bucket or anything in it. `cancel`, where given, ends repetitions.
  // Errors: Invalid where the name or the endpoint is none; IOError where the bucket's region
  // cannot be found. Both are explained.
  static arrow::Result<std::unique_ptr<S3Connection>> Open(const std::string& uri,
                                                           const S3Options& options,
                                                           CancelToken cancel);

  ~S3Connection();
  S3Connection(const S3Connection&) = delete;
  S3Connection& operator=(const S3Connection&) = delete;

  // Where requests may wait, kS3RequestsAtOnce of them.
  arrow::internal::Executor* executor() const { return executor_.get(); }

  // As it was named; empty: AWS.
  const std::string& endpoint() const { return endpoint_; }

  // Whether TLS guards the bytes on their way.
  bool encrypted() const { return encrypted_; }

  // What its user counted, and what it counts itself.
  TransferCounts Transfers(int64_t listings, int64_t requests, int64_t bytes,
                           double seconds) const {
    return {listings, requests, retries_, bytes, seconds, first_byte_.Load(), whole_.Load()};
  }

  // Waits before the repetition after `attempt` (0 the first), counted as a retry; false: that was
  // the last one.
  bool WaitToRetry(int attempt);

  // Breaks off requests under way and drops those that wait. Nothing is repeated any more.
  void Stop();

  // Bytes of an object from `first` on, `count` of them or less at its end, in place of what is in
  // `bytes`; all of it where count is negative. Of a state of the object that its ETag names, where
  // given.
  arrow::Result<S3Object> Get(const std::string& key, int64_t first, int64_t count,
                              std::vector<uint8_t>* bytes, const std::string& etag = {});
  arrow::Result<S3Object> Head(const std::string& key);

  // A request for all of an object, sent by a thread that goes on. The connection outlives it.
  class PendingGet;

  // Null where no kept connection is free for it, or nothing may be sent: Get() does it then.
  std::shared_ptr<PendingGet> TryGet(const std::string& key);

  // Waits for the last of them, no longer than `most`, and says of which the server has answered, or
  // has not for too long. It may be none.
  static void Wait(std::span<PendingGet* const> pending, std::chrono::milliseconds most,
                   std::vector<bool>* due);

  // Reads the answer, once it is due, and says whether it is the object. If not, Get() repeats it,
  // which may take its time.
  bool Receive(PendingGet& pending);

  // As Get(), whose first request this one was. REQUIRES: it was received.
  arrow::Result<S3Object> Get(PendingGet& pending, std::vector<uint8_t>* bytes);

  // The page after the one that gave `next`; with `folders`, what is behind the next slash is not
  // listed.
  arrow::Result<ListingPage> List(const std::string& prefix, bool folders, const std::string& next,
                                  int most = 1000);

  // Gives the ETag. `if_match`: only in place of the object that has this ETag; "*" stands for
  // none at all.
  arrow::Result<std::string> Put(const std::string& key, std::span<const uint8_t> bytes,
                                 const std::string& if_match = {});

  // May be missing. `once`: not repeated, as somebody else may have written it anew.
  arrow::Status Delete(const std::string& key, bool once = false);

  // An object in several parts, which is there once all are. Parts are counted from 1.
  arrow::Result<std::string> BeginUpload(const std::string& key);
  arrow::Result<std::string> PutPart(const std::string& key, const std::string& upload, int part,
                                     std::span<const uint8_t> bytes);
  arrow::Status CompleteUpload(const std::string& key, const std::string& upload,
                               const std::vector<std::string>& etags);
  arrow::Status AbortUpload(const std::string& key, const std::string& upload);
  // Those that were neither completed nor aborted, of keys with this prefix.
  arrow::Result<std::vector<ListedUpload>> ListUploads(const std::string& prefix);

  // A failed call, in the user's words: "<what> <uri>: <why>".
  arrow::Status Explain(std::string_view what, const std::string& uri,
                        const arrow::Status& status) const;

 private:
  struct Request;
  struct Attempt;
  // Where the bucket is.
  struct Place {
    HttpServer server;
    std::string path;  // up to its keys, with the slash before them
    std::string region;
  };

  S3Connection() : credentials_(&client_) {}

  arrow::Status Reach(const S3Options& options);
  Place AwsPlace(const std::string& region) const;
  arrow::Status FindRegion();
  arrow::Status Prepare(const Request& request, Attempt* attempt);
  arrow::Result<HttpAnswer> Send(const Request& request, Attempt* first = nullptr);
  bool Follow(const HttpAnswer& answer, const Place& asked, std::optional<Place>* elsewhere,
              std::string* target);

  std::string bucket_;
  std::string endpoint_;  // as it was named; empty: AWS
  bool encrypted_ = true;
  bool anonymous_ = false;
  CancelToken cancel_;
  HttpClient client_;
  CredentialsChain credentials_;
  std::shared_ptr<arrow::internal::ThreadPool> executor_;
  std::atomic<bool> stopped_ = false, reached_ = false, md5_wanted_ = false;
  std::atomic<int64_t> retries_ = 0;
  Durations first_byte_, whole_;   // shared
  std::atomic<int64_t> skew_ = 0;  // seconds by which the server's clock is ahead of ours
  mutable std::mutex mutex_;       // for place_
  Place place_;
};

// Why a request for one object cannot be served, where the reason is that object's.
std::optional<Reject> RejectOf(const arrow::Status& status);

}  // namespace pomona
