// What an output on S3 consists of: objects below a URI, written and removed.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/options.h"
#include "pomona/transfers.h"
#include "published_files.h"

namespace pomona {

// Objects are named by their paths below the URI, and appear whole or not at all.
//
// Threads: safe to share. Errors: IOError names the object.
class S3Folder {
 public:
  // Errors: those of S3Connection::Open().
  static arrow::Result<std::unique_ptr<S3Folder>> Open(const std::string& uri,
                                                       const S3Options& options, CancelToken cancel,
                                                       OutputFolders folders = kRunFolders);

  const std::string& uri() const { return uri_; }
  PublishedFiles files() const { return {uri_, connection_, folders_}; }
  S3Connection& connection() const { return *connection_; }

  // "" where there is no such object.
  arrow::Result<std::string> ReadText(const std::string& below) const;

  arrow::Status Put(const std::string& below, std::string_view text);
  arrow::Status PutFile(const std::string& local, const std::string& below, CancelToken cancel);

  // Whether there is such an object; it appears at `local` whole.
  arrow::Result<bool> GetFile(const std::string& below, const std::string& local) const;

  // These may be missing.
  arrow::Status RemoveFile(const std::string& below) const;
  arrow::Status RemoveFolder(const std::string& below) const;

  // Removes what was uploaded in part only, by writers that are gone, into these folders. Where the
  // store does not let it be found, it stays.
  arrow::Status AbortUploads(const std::vector<std::string>& folders) const;

  // Sent so far.
  int64_t bytes() const { return bytes_; }
  TransferCounts transfers() const;

 private:
  S3Folder() = default;
  std::string Key(std::string_view below) const;
  arrow::Status PutParts(arrow::io::RandomAccessFile& file, int64_t size, const std::string& key,
                         CancelToken cancel);

  std::string uri_;
  OutputFolders folders_ = kRunFolders;
  std::shared_ptr<S3Connection> connection_;
  std::atomic<int64_t> requests_ = 0, bytes_ = 0, microseconds_ = 0;
};

}  // namespace pomona
