// The files of published runs, read alike from a local folder and from S3.
#pragma once

#include <arrow/buffer.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "layout.h"
#include "pomona/cancel.h"
#include "pomona/options.h"

namespace pomona {

class S3Connection;

// Files are named by their paths below the output.
//
// Threads: safe to share.
// Errors: those of one file name its whole path, as the user knows it.
class PublishedFiles {
 public:
  // Of a local folder, by its absolute path.
  explicit PublishedFiles(std::string output, OutputFolders folders = kRunFolders);

  // Of an output on S3. REQUIRES: a normal URI, of the connection's bucket.
  PublishedFiles(std::string output, std::shared_ptr<S3Connection> connection,
                 OutputFolders folders = kRunFolders);

  // Of the output that a path or URI names. Errors: those of LocalPath() and S3Connection::Open();
  // IOError with ENOENT where there is no such local folder.
  static arrow::Result<PublishedFiles> Open(const std::string& output, const S3Options& s3,
                                            CancelToken cancel);

  // The audits of its runs.
  PublishedFiles Audits() const {
    return {Path(std::string(kAuditFolder)), connection_, kAuditFolders};
  }

  const std::string& output() const { return output_; }
  OutputFolders folders() const { return folders_; }
  std::string Path(const std::string& below) const { return output_ + '/' + below; }

  // Bytes worth asking for at once.
  int64_t read_bytes() const { return connection_ ? 4 << 20 : 1 << 20; }

  arrow::Result<bool> Exists(const std::string& below) const;

  // What is in a folder, and where asked in the folders in it and in those in them; nothing where
  // there is none.
  arrow::Result<std::vector<arrow::fs::FileInfo>> List(const std::string& folder,
                                                       bool with_subfolders = false) const;

  // The parts of the table in a folder, in their order, also where Spark has named them; nothing where
  // there is none.
  arrow::Result<std::vector<std::string>> Parts(const std::string& folder) const;

  // Errors of the file itself are to be explained; what is no file is refused.
  // REQUIRES: closed before this dies.
  arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenFile(
      const std::string& below) const;

  // The content of a small file. Errors: Invalid where it is larger than any of ours.
  arrow::Result<std::string> Read(const std::string& below) const;

  // SHA-256 in hexadecimal. Over a network, `whole` becomes what was read for it, where it is given
  // and the file is not too large to be held.
  arrow::Result<std::string> Sha256Of(const std::string& below,
                                      std::shared_ptr<arrow::Buffer>* whole = nullptr) const;

  // The same files, but whoever opens one of these gets what is held of it.
  using Held = std::map<std::string, std::shared_ptr<arrow::Buffer>>;
  PublishedFiles Holding(Held files) const;

  // A failure to read the file, or to make sense of it, in the user's words.
  arrow::Status Explain(const std::string& below, const arrow::Status& status) const;

 private:
  std::string output_;
  OutputFolders folders_;
  std::shared_ptr<S3Connection> connection_;  // null: local
  std::shared_ptr<const Held> held_;          // may be null
};

// What a JSON file holds, and the text of it where asked. Errors: Invalid where it is no object.
arrow::Result<nlohmann::json> ReadObject(const PublishedFiles& files, const std::string& below,
                                         std::string* text = nullptr);

// The ids of the published runs, the newest first.
arrow::Result<std::vector<std::string>> PublishedRuns(const PublishedFiles& files);

// The id of the run that is meant: this one, or where it is empty the one published last.
// Errors: Invalid where there is none.
arrow::Result<std::string> FindRunId(const PublishedFiles& files, const std::string& run_id);

// Whether the journal of an output, which may be anybody's, names a run that could have died while
// it was published. Errors: Invalid.
arrow::Status CheckJournal(const std::string& path, const std::string& run_id);

}  // namespace pomona
