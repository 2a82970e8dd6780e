// Objects of S3 kept on a local disk, for runs that read them again.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "pomona/source.h"

namespace pomona {

// A folder of files, one an entry, that any number of processes share. Nothing in it is needed:
// what is missing, damaged or cannot be written is fetched. Entries that were not used for the
// longest time go first.
//
// Threads: safe to share.
class ObjectCache {
 public:
  // Entries lie in a folder of ours in this one, which is made where there is none, and take about
  // `most_bytes` or less.
  // Errors: IOError where nothing can be written there.
  static arrow::Result<std::unique_ptr<ObjectCache>> Open(const std::string& folder,
                                                          int64_t most_bytes);

  // Names what is kept: the first `size` bytes of an object in one of its states, on one server.
  static std::string Name(std::string_view server, const std::string& uri, int64_t state,
                          int64_t size);

  // Whether the entry is there and whole, in place of what is in `bytes`.
  bool Get(const std::string& name, FileBytes* bytes) const;

  void Put(const std::string& name, std::span<const uint8_t> bytes);

 private:
  ObjectCache(std::string folder, int64_t most_bytes)
      : folder_(std::move(folder)), most_bytes_(most_bytes) {}
  std::string Path(const std::string& name) const;
  arrow::Status Write(const std::string& name, std::span<const uint8_t> bytes);
  void Trim(int64_t wanted);

  const std::string folder_;
  const int64_t most_bytes_;
  std::atomic<int64_t> to_trim_ = 0;  // bytes that may be written until entries are counted again
  std::atomic<int64_t> writing_ = 0;  // bytes of entries that are being written
  std::atomic<bool> gave_up_ = false;
  std::mutex trimming_;
};

}  // namespace pomona
