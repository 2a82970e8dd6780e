#include "picture_files.h"

#include <filesystem>
#include <string_view>
#include <system_error>

#include "guarded.h"
#include "pomona/item.h"
#include "pomona/location.h"

namespace pomona {
namespace {

// Beyond this a picture is not worth its way, or its memory.
constexpr int64_t kMaxBytes = int64_t{64} << 20;

}  // namespace

bool IsWorthReading(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(UnescapeName(path), error);
  return error || bytes <= static_cast<uintmax_t>(kMaxBytes);
}

bool PictureFiles::Read(const std::string& path, FileBytes* bytes) {
  if (IsS3Uri(path)) return ReadObject(path, bytes);
  if (!IsWorthReading(path)) return false;
  const auto reject = ReadLocalFile(UnescapeName(path), bytes);
  return reject.ok() && !*reject;
}

// Null where nobody can connect; asked for once.
std::shared_ptr<S3Connection> PictureFiles::Connection(const std::string& path) {
  constexpr std::string_view kScheme = "s3://";
  const std::string bucket = path.substr(0, path.find('/', kScheme.size()));
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(bucket);
  if (found != connections_.end()) return found->second;
  auto opened = S3Connection::Open(bucket, s3_, cancel_);
  return connections_[bucket] = opened.ok() ? *std::move(opened) : nullptr;
}

bool PictureFiles::ReadObject(const std::string& path, FileBytes* bytes) {
  const auto connection = Connection(path);
  if (!connection) return false;
  const auto object = Guarded([&] { return connection->Get(S3Key(path), 0, kMaxBytes, bytes); });
  return object.ok() && object->size == std::ssize(*bytes);
}

}  // namespace pomona
