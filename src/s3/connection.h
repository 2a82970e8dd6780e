// The connection behind s3:// paths: Arrow's file system for S3, with our patience and our words.
#pragma once

#include <arrow/filesystem/filesystem.h>
#include <arrow/result.h>
#include <arrow/util/thread_pool.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pomona/cancel.h"
#include "pomona/item.h"
#include "pomona/location.h"
#include "pomona/options.h"

namespace pomona {

// The path that Arrow's file system knows an object by. REQUIRES: a normal URI.
inline std::string S3ArrowPath(std::string_view uri) {
  return std::string(uri.substr(std::string_view("s3://").size()));
}

// Of an object that was listed and is not there any more.
inline Reject GoneReject() { return {Stage::kRead, Reason::kMissing, "no longer there"}; }

// A bucket, reached. Requests that fail for a passing reason (500, 503, too many requests,
// timeouts, connections that break, answers cut short) are repeated up to kS3Attempts times, at
// growing, jittered intervals: half a minute in all.
//
// Arrow's module for S3 is loaded by the first one: programs without s3:// paths do not pay for it.
// Threads: safe to share.
inline constexpr int kS3Attempts = 16;
inline constexpr int kS3RequestsAtOnce = 128;

class S3Connection {
 public:
  // `uri`: of the bucket or anything in it. `cancel`, where given, ends repetitions.
  // Errors: NotImplemented where Arrow has no S3; IOError where the bucket's region cannot be
  // found.
  static arrow::Result<std::unique_ptr<S3Connection>> Open(const std::string& uri,
                                                           const S3Options& options,
                                                           CancelToken cancel);

  ~S3Connection();
  S3Connection(const S3Connection&) = delete;
  S3Connection& operator=(const S3Connection&) = delete;

  // REQUIRES: closed before this dies, like every stream of it.
  arrow::fs::FileSystem& files() const { return *files_; }

  // Where requests may wait, kS3RequestsAtOnce of them.
  arrow::internal::Executor* executor() const { return executor_.get(); }

  // Whether TLS guards the bytes on their way.
  bool encrypted() const { return encrypted_; }

  int64_t retries() const;

  // Waits before the repetition after `attempt` (0 the first), counted as a retry; false: that was
  // the last one.
  bool WaitToRetry(int attempt) const;

  // Waits for the executor's tasks that run and drops those that do not. Nothing is repeated any
  // more.
  void Stop();

  // To be called once the server has answered: a server that refuses connections from the start is
  // given up early.
  void Reached();

  // To be called before a request whose failure RejectOfThisThread() is to explain: one that fails
  // before the server is asked leaves no reason of its own.
  void ForgetFailure() const;

  // Why this thread's last request cannot be served, where the reason is that one object's.
  std::optional<Reject> RejectOfThisThread() const;

  // A failed call, in the user's words: "<what> <uri>: <why>".
  arrow::Status Explain(std::string_view what, const std::string& uri,
                        const arrow::Status& status) const;

 private:
  class Patience;

  S3Connection() = default;

  std::shared_ptr<Patience> patience_;
  std::string server_;  // for messages
  bool encrypted_ = true;
  bool anonymous_ = false;
  std::shared_ptr<arrow::internal::ThreadPool> executor_;
  std::shared_ptr<arrow::fs::FileSystem> files_;
};

}  // namespace pomona
