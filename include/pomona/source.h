// A tree of labelled files, listed in path order and read one by one.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pomona/item.h"
#include "pomona/options.h"

namespace pomona {

// Bytes of a file, in a buffer that is used again and never shrinks.
using FileBytes = std::vector<uint8_t>;

// Where items come from.
//
// Threads: List() once, by one thread; Read() by any number at once, each with a buffer of its own.
class Source {
 public:
  virtual ~Source() = default;

  // Every file below the root, sorted by path, bytewise.
  // Errors: IOError where a folder cannot be listed, since nobody could tell what is missing.
  virtual arrow::Result<std::vector<Item>> List() = 0;

  // Reads the whole file into `bytes`. What keeps one file from being read is a Reject.
  virtual std::optional<Reject> Read(const Item& item, FileBytes* bytes) = 0;
};

// Reads the whole local file at `path` into `bytes`.
std::optional<Reject> ReadLocalFile(const std::string& path, FileBytes* bytes);

// A folder of the local file system, or its subfolder Training where there is one, as the original
// pipeline looks for it. Links are followed, but not into a folder from below it. Paths are
// absolute and escaped (EscapeName).
// Errors: Invalid where the root is missing or no folder.
arrow::Result<std::unique_ptr<Source>> OpenLocalTree(const std::string& root);

// The absolute, normalised path that a local path or file:// URI means.
// Errors: NotImplemented for s3:// and the like, Invalid for a malformed URI.
arrow::Result<std::string> LocalPath(const std::string& path_or_uri);

// Whether the item's label matches Apple*, which the modes mini and apples ask for.
bool IsApple(const Item& item);

// Whether the options' globs take the item.
bool MatchesGlobs(const Item& item, const RunOptions& options);

// How many of the items that mode and globs take a run has at most.
size_t ItemLimit(const RunOptions& options);

// The items that the options select (mode, include, exclude, limit), order kept.
std::vector<Item> Select(std::vector<Item> items, const RunOptions& options);

}  // namespace pomona
