// Image files by their paths in a run's tables, wherever they lie.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "pomona/cancel.h"
#include "pomona/options.h"
#include "pomona/source.h"
#include "s3/connection.h"

namespace pomona {

// Whether a page may ask for this local file: one thumbnail is not worth any memory.
bool IsWorthReading(const std::string& path);

// Threads: safe to share.
class PictureFiles {
 public:
  PictureFiles(S3Options s3, CancelToken cancel) : s3_(std::move(s3)), cancel_(cancel) {}

  // Whether the file could be read.
  bool Read(const std::string& path, FileBytes* bytes);

 private:
  bool ReadObject(const std::string& path, FileBytes* bytes);
  std::shared_ptr<S3Connection> Connection(const std::string& path);

  const S3Options s3_;
  const CancelToken cancel_;
  std::mutex mutex_;                                                  // for what follows
  std::map<std::string, std::shared_ptr<S3Connection>> connections_;  // by bucket; null: none
};

}  // namespace pomona
