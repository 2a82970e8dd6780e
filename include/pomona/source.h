// A tree of labelled files, listed in path order and read one by one.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/glob.h"
#include "pomona/item.h"
#include "pomona/options.h"
#include "pomona/transfers.h"

namespace pomona {

// Bytes of a file, in a buffer that is used again and never shrinks.
using FileBytes = std::vector<uint8_t>;

// An image of more bytes would only fill the memory: it is rejected unread.
inline constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

// Takes items as they become known; false: that is enough.
using TakeItems = std::function<bool(std::vector<Item>)>;

// Whether a path below the root of a tree is hidden: one of its names begins with a dot or is one
// of those that systems give to what they leave behind (docs/formats.md lists them).
bool IsHidden(std::string_view relative_path);

// Which files of a tree are listed, by their paths below its root; remembers what it was asked for.
//
// Threads: one at a time.
class PathFilter {
 public:
  // Takes all that is not hidden.
  PathFilter() = default;

  // Takes what the options' globs and `hidden` ask for.
  // Errors: Invalid for a glob that is none.
  static arrow::Result<PathFilter> Make(const RunOptions& options);

  bool TakesFile(std::string_view relative_path);

  // Whether any file below the folder may be taken; if not, it need not be listed.
  bool EntersFolder(std::string_view relative_path);

  // The folder that holds every file below this one that may be taken: itself or one below it.
  std::string Narrow(const std::string& relative_path) const;

  // The options that nothing matched so far, such as "--include 'Kiwi'".
  std::vector<std::string> Unmatched() const;

  // A glob of what was asked for, a file or else all that is in a folder; empty: there was nothing.
  const std::string& example() const { return example_; }

  // Hidden files and folders that were not taken; what is in a folder not entered does not count.
  int64_t hidden() const { return hidden_count_; }

  // Where the run is published: nothing of it is taken. A local folder is not entered by whatever
  // path a link leads to it.
  std::string output;

 private:
  struct Rule {
    Glob glob;
    bool met = false;
  };

  bool LeavesOut(std::string_view relative_path);

  std::vector<Rule> include_, exclude_;
  bool take_hidden_ = false;
  std::string example_;
  int64_t hidden_count_ = 0;
};

// Where items come from.
//
// Threads: List() once, by one thread; the others by any number at once, while it lists too, each
// Read() with a buffer of its own.
class Source {
 public:
  virtual ~Source() = default;

  // The folder whose files are listed, INPUT or INPUT/Training: absolute, or s3://bucket/prefix.
  virtual const std::string& root() const = 0;

  // The folders beside root() that INPUT holds as well and that are not read, where it is
  // INPUT/Training. By name, without hidden ones, in no order.
  virtual std::vector<std::string> PassedOver() const { return {}; }

  // Hands over every file below the root that the filter takes, sorted by path, bytewise.
  // Errors: IOError where a folder cannot be listed that may hold any, since nobody could tell what
  // is missing.
  virtual arrow::Status List(PathFilter* filter, const TakeItems& take) = 0;

  // Says which items Read() will be asked for next, once each and about in this order, so that a
  // source far away can read ahead.
  virtual void Prefetch(const std::vector<Item>&) {}

  // Reads the file into `bytes`: all of it where it may be an image of a format that is read here,
  // else its first kSniffBytes (decode.h) at least, which say what it is. What keeps one file from
  // being read is a Reject.
  // Errors: what keeps all of them from it, such as a storage that does not answer.
  virtual arrow::Result<std::optional<Reject>> Read(const Item& item, FileBytes* bytes) = 0;

  // All zero where files are on this machine.
  virtual TransferCounts transfers() const { return {}; }
};

// Hands over the items that mode, limit and filter select, in path order, as they are listed; false
// as for List(). REQUIRES: the filter was made of the same options.
// Errors: the source's.
arrow::Status ListSelected(Source& source, const RunOptions& options, PathFilter* filter,
                           const TakeItems& take);

// The same, all at once.
arrow::Result<std::vector<Item>> ListAll(Source& source, const RunOptions& options = {});

// The tree that a path or URI names: a local one, or one on S3 (s3://, s3a://, s3n://).
// `cancel`: ends waiting for S3 early, where given; outlives the source.
// Errors: those of OpenLocalTree() and OpenS3Tree().
arrow::Result<std::unique_ptr<Source>> OpenTree(const std::string& root, const S3Options& s3,
                                                CancelToken cancel = {});

// A line for the user that names the folders which the source passed over, but for the one that
// `output` is or lies in; empty: there are none.
std::string TellPassedOver(const Source& source, const std::string& output = {});

// The objects below s3://bucket/prefix, or below s3://bucket/prefix/Training where there are any.
// Paths are s3://bucket/key, with the key as it is. Keys that end in '/' are folders, no files.
// Reads ahead of need, a bounded number of files and bytes.
// Errors: Invalid where there is nothing below the root; IOError that says what is wrong with the
// bucket, the credentials or the connection.
arrow::Result<std::unique_ptr<Source>> OpenS3Tree(const std::string& root, const S3Options& s3,
                                                  CancelToken cancel = {});

// Reads the local file at `path`, as Source::Read() does. What is wrong with this file is a Reject.
// Errors: what is not, such as too many open files, a disk that fails, a mount that is gone.
arrow::Result<std::optional<Reject>> ReadLocalFile(const std::string& path, FileBytes* bytes);

// A folder of the local file system, or its subfolder Training where there is one, as the original
// pipeline looks for it. Links are followed, but not into a folder from below it. Paths are
// absolute and escaped (EscapeName).
// Errors: IOError with the errno where it is missing or not a folder.
arrow::Result<std::unique_ptr<Source>> OpenLocalTree(const std::string& root);

// Whether the item's label matches Apple*, which the modes mini and apples ask for.
bool IsApple(const Item& item);

// How many of the items that mode and globs take a run has at most.
size_t ItemLimit(const RunOptions& options);

}  // namespace pomona
