// The listed items of a run, on disk.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pomona/item.h"

namespace pomona {

// A file of items, appended block by block and read back block by block: memory holds the blocks'
// places only, however many items there are. It serves one run, and need not outlive a crash.
//
// Threads: any number may read what was appended, while one appends.
class ItemSpool {
 public:
  // Where a block stands.
  struct Block {
    int64_t offset = 0;
    int64_t bytes = 0;
    int64_t items = 0;
  };

  // Replaces the file. Errors of all: IOError names the path.
  static arrow::Result<std::unique_ptr<ItemSpool>> Create(const std::string& path);

  ~ItemSpool();
  ItemSpool(const ItemSpool&) = delete;
  ItemSpool& operator=(const ItemSpool&) = delete;

  arrow::Result<Block> Append(std::span<const Item> items);

  // Errors: Invalid where the file holds no such block.
  arrow::Result<std::vector<Item>> Read(const Block& block) const;

 private:
  ItemSpool(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  const int fd_;
  const std::string path_;
  int64_t size_ = 0;  // of what was appended
};

}  // namespace pomona
