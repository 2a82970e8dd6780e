#include "item_spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "disk.h"
#include "sha256.h"

namespace pomona {
namespace {

// What stands before each path.
struct Header {
  uint32_t path_bytes = 0;
  uint32_t root_size = 0;
  int64_t size = 0;
  int64_t modified_ns = 0;
  int64_t state = 0;
};

std::string DigestOf(std::string_view bytes) { return Sha256().Add(bytes).Hex(); }

}  // namespace

arrow::Result<std::unique_ptr<ItemSpool>> ItemSpool::Create(const std::string& path) {
  ARROW_RETURN_NOT_OK(RemoveAll(path));
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return DiskError("create", path, errno);
  return std::unique_ptr<ItemSpool>(new ItemSpool(fd, nullptr, path));
}

std::unique_ptr<ItemSpool> ItemSpool::Open(std::shared_ptr<arrow::io::RandomAccessFile> file,
                                           std::string path) {
  return std::unique_ptr<ItemSpool>(new ItemSpool(-1, std::move(file), std::move(path)));
}

ItemSpool::~ItemSpool() {
  if (fd_ >= 0) close(fd_);
}

arrow::Result<ItemSpool::Block> ItemSpool::Append(std::span<const Item> items) {
  std::string bytes;
  for (const Item& item : items) {
    const Header header{static_cast<uint32_t>(item.path.size()), item.root_size, item.size,
                        item.modified_ns, item.state};
    bytes.append(reinterpret_cast<const char*>(&header), sizeof header).append(item.path);
  }
  const Block block{size_, static_cast<int64_t>(bytes.size()), static_cast<int64_t>(items.size()),
                    DigestOf(bytes)};
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t count = pwrite(fd_, bytes.data() + written, bytes.size() - written,
                                 size_ + static_cast<int64_t>(written));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return DiskError("write", path_, errno);
    written += static_cast<size_t>(count);
  }
  size_ += block.bytes;
  return block;
}

arrow::Status ItemSpool::Sync() const {
  return fsync(fd_) == 0 ? arrow::Status::OK() : DiskError("flush", path_, errno);
}

// As much of the block as the file holds.
arrow::Result<std::string> ItemSpool::ReadBytes(const Block& block) const {
  std::string bytes(static_cast<size_t>(block.bytes), '\0');
  if (file_) {
    ARROW_ASSIGN_OR_RAISE(const int64_t count,
                          file_->ReadAt(block.offset, block.bytes, bytes.data()));
    bytes.resize(static_cast<size_t>(count));
    return bytes;
  }
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = pread(fd_, bytes.data() + filled, bytes.size() - filled,
                                block.offset + static_cast<int64_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return DiskError("read", path_, errno);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

arrow::Result<std::vector<Item>> ItemSpool::Read(const Block& block) const {
  ARROW_ASSIGN_OR_RAISE(const std::string bytes, ReadBytes(block));
  const auto other = arrow::Status::Invalid(
      path_, ": the list of items of the run is not the one that was planned; start the run again");
  if (DigestOf(bytes) != block.digest) return other;
  std::vector<Item> items(static_cast<size_t>(block.items));
  size_t at = 0;
  for (Item& item : items) {
    Header header;
    if (bytes.size() - at < sizeof header) return other;
    std::memcpy(&header, bytes.data() + at, sizeof header);
    at += sizeof header;
    if (bytes.size() - at < header.path_bytes || header.root_size > header.path_bytes) return other;
    item = {bytes.substr(at, header.path_bytes), header.root_size, header.size, header.modified_ns,
            header.state};
    at += header.path_bytes;
  }
  return items;
}

}  // namespace pomona
