// Files and folders that are still there after a power failure, on whatever file system.
//
// Errors: IOError that names the path, with the errno as its detail.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sha256.h"

namespace pomona {

// "cannot <what> <path>: <the error's text>".
arrow::Status DiskError(std::string_view what, const std::string& path, int error);

// Whether there is anything of this name.
arrow::Result<bool> Exists(const std::string& path);

// That every part of the path `below` the folder `root` that is there is a folder itself, and no
// link to one, which may stand anywhere. Errors: Invalid names the first that is not.
arrow::Status CheckFolders(const std::string& root, const std::string& below);

// Creates the folder and those above it, each entered durably in the one above.
arrow::Status MakeFolders(const std::string& path);

// Removes a file or a folder with all that is in it, if it is there. A link is removed itself, not
// what it leads to.
arrow::Status RemoveAll(const std::string& path);

// The files in a folder and in those below it, by their paths below it, in no order; none where
// there is no such folder.
arrow::Result<std::vector<std::string>> FilesBelow(const std::string& folder);

// Where temporary files go: TMPDIR, or /tmp. Errors: IOError where that is no folder.
arrow::Result<std::string> TemporaryRoot();

// A new folder of an unused name, which is removed with all that is in it when this dies. What
// processes of this machine left that were killed is removed where the next one is made beside it.
class ScratchFolder {
 public:
  static arrow::Result<ScratchFolder> Make(const std::string& above);
  ~ScratchFolder();
  ScratchFolder(ScratchFolder&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::exchange(other.lock_, -1)) {}
  ScratchFolder& operator=(ScratchFolder&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  const std::string& path() const { return path_; }

 private:
  ScratchFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;  // held open while this lives; -1: the file system has none
};

// Makes the names in a folder durable: those created in it, moved into it, removed from it. File
// systems that have no such call need none.
arrow::Status SyncFolder(const std::string& path);

// Opens a file for reading. Errors: Invalid where it is something else; a FIFO, say, would wait for
// its writer.
arrow::Result<int> OpenRegularFile(const std::string& path);

// A new file. Close() makes its content durable; its name is as durable as its folder.
class OutputFile : public arrow::io::OutputStream {
 public:
  // Replaces a file of that name, but not what a link of that name leads to. `sha256`: where
  // Close() leaves the checksum, if anybody asks.
  static arrow::Result<std::shared_ptr<OutputFile>> Create(const std::string& path,
                                                           std::string* sha256 = nullptr);
  ~OutputFile() override;

  using arrow::io::OutputStream::Write;
  arrow::Status Write(const void* data, int64_t size) override;
  arrow::Status Close() override;
  bool closed() const override { return fd_ < 0; }
  arrow::Result<int64_t> Tell() const override { return written_; }

 private:
  OutputFile(int fd, std::string path, std::string* sha256);

  int fd_;
  const std::string path_;
  std::string* const result_;
  int64_t written_ = 0;
  Sha256 sha256_;
};

// Makes the file of this name of what `write` gives it. It appears whole and durable, or not at
// all: it is written beside its place under a temporary name.
// Errors: also IOError, of no errno, where something else than a file has this name: a pipe, whose
// reader would wait for ever, or a link, of which it is not known what is meant.
arrow::Status ReplaceFile(const std::string& path,
                          const std::function<arrow::Status(OutputFile&)>& write);

// What would keep ReplaceFile() from making a file of this name, as far as can be told before.
arrow::Status CheckReplaceable(const std::string& path);

}  // namespace pomona
