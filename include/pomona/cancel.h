// How work is asked to end before its time.
#pragma once

#include <arrow/status.h>

#include <atomic>

namespace pomona {

// Tells work whether somebody wants it to end soon. Refers to a flag, which outlives it and which
// anybody may set at any time; without one, nobody does.
//
// Threads: safe to share.
class CancelToken {
 public:
  CancelToken() = default;
  CancelToken(const std::atomic<bool>* flag) : flag_(flag) {}  // implicit: a flag is one

  bool requested() const { return flag_ && *flag_; }

  // Errors: Cancelled, once it is requested.
  arrow::Status Check() const {
    return requested() ? arrow::Status::Cancelled("interrupted") : arrow::Status::OK();
  }

 private:
  const std::atomic<bool>* flag_ = nullptr;
};

}  // namespace pomona
