#include "s3/object.h"

#include <arrow/buffer.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace pomona {
namespace {

class ObjectFile : public arrow::io::RandomAccessFile {
 public:
  ObjectFile(S3Connection* connection, std::string key, S3Object object)
      : connection_(connection),
        key_(std::move(key)),
        object_(std::move(object)),
        context_(arrow::default_memory_pool(), connection_->executor()) {
    set_mode(arrow::io::FileMode::READ);
  }

  const arrow::io::IOContext& io_context() const override { return context_; }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<int64_t> GetSize() override { return object_.size; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override {
    position_ = position;
    return arrow::Status::OK();
  }

  arrow::Result<int64_t> Read(int64_t size, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position_, size, out));
    position_ += read;
    return read;
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, size));
    position_ += buffer->size();
    return buffer;
  }

  arrow::Result<int64_t> ReadAt(int64_t position, int64_t size, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const auto bytes, Fetch(position, size));
    std::ranges::copy(bytes, static_cast<uint8_t*>(out));
    return static_cast<int64_t>(bytes.size());
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size) override {
    ARROW_ASSIGN_OR_RAISE(auto bytes, Fetch(position, size));
    return arrow::Buffer::FromVector(std::move(bytes));
  }

 private:
  arrow::Result<std::vector<uint8_t>> Fetch(int64_t position, int64_t size) const {
    size = std::min(size, object_.size - position);
    std::vector<uint8_t> bytes;
    if (position < 0 || size <= 0) return bytes;
    ARROW_RETURN_NOT_OK(connection_->Get(key_, position, size, &bytes, object_.etag).status());
    if (static_cast<int64_t>(bytes.size()) != size) {
      return arrow::Status::IOError("it is shorter than it was");
    }
    return bytes;
  }

  S3Connection* const connection_;
  const std::string key_;
  const S3Object object_;
  const arrow::io::IOContext context_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace

arrow::Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenS3Object(S3Connection* connection,
                                                                         std::string key) {
  ARROW_ASSIGN_OR_RAISE(S3Object object, connection->Head(key));
  return std::make_shared<ObjectFile>(connection, std::move(key), std::move(object));
}

}  // namespace pomona
