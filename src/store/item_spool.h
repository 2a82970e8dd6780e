// The listed items of a run, on disk.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fragment.h"
#include "pomona/item.h"

namespace pomona {

// A file of items, appended block by block and read back block by block: memory holds the blocks'
// places only, however many items there are. It serves one run.
//
// Threads: any number may read what was appended, while one appends.
class ItemSpool {
 public:
  // Where a block stands.
  struct Block {
    int64_t offset = 0;
    int64_t bytes = 0;
    int64_t items = 0;
    std::string digest;  // of the bytes
  };

  // Replaces the file. Errors of all: IOError names the path.
  static arrow::Result<std::unique_ptr<ItemSpool>> Create(const std::string& path);

  // One that another process filled; only Read() may be called.
  static std::unique_ptr<ItemSpool> Open(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                         std::string path);

  ~ItemSpool();
  ItemSpool(const ItemSpool&) = delete;
  ItemSpool& operator=(const ItemSpool&) = delete;

  arrow::Result<Block> Append(std::span<const Item> items);

  // Makes what was appended durable, and visible to other machines that open the file then.
  arrow::Status Sync() const;

  // Errors: Invalid where the file, which may be anybody's or have been replaced, holds no such block.
  arrow::Result<std::vector<Item>> Read(const Block& block) const;

 private:
  ItemSpool(int fd, std::shared_ptr<arrow::io::RandomAccessFile> file, std::string path)
      : fd_(fd), file_(std::move(file)), path_(std::move(path)) {}
  arrow::Result<std::string> ReadBytes(const Block& block) const;

  const int fd_;                                             // -1: not ours to fill
  const std::shared_ptr<arrow::io::RandomAccessFile> file_;  // then to read from
  const std::string path_;
  int64_t size_ = 0;  // of what was appended
};

// A fragment's items, which the spool holds.
struct ListedFragment {
  size_t number = 0;  // among the run's
  FragmentRange range;
  ItemSpool::Block items;
};

}  // namespace pomona
