#include "image_reader.h"

#include <string>
#include <utility>
#include <variant>

#include "guarded.h"
#include "stopwatch.h"

namespace pomona {
arrow::Status AtImage(std::string_view path, const arrow::Status& status) {
  if (!status.IsOutOfMemory() || path.empty() || status.message().find(path) != std::string::npos) {
    return status;
  }
  return status.WithMessage(path, ": ", status.message());
}

arrow::Status Forgotten(std::string_view path) {
  return arrow::Status::UnknownError("internal error: ", path,
                                     " was not worked on; please report this");
}

arrow::Result<Outcome> ImageReader::Process(std::string_view path, const ReadBytes& read,
                                            const UseImage& use) {
  Stopwatch watch;
  auto unread = Guarded([&] { return read(&bytes_); });
  watch.Lap(&read_seconds_);
  if (!unread.ok()) return AtImage(path, unread.status());
  if (*unread) return Outcome{Verdict::kReject, *std::move(unread)};
  return Process(path, bytes_, use);
}

arrow::Result<Outcome> ImageReader::Process(std::string_view path, std::span<const uint8_t> file,
                                            const UseImage& use) {
  auto outcome = Guarded([&] { return Decode(path, file, use); });
  if (!outcome.ok()) return AtImage(path, outcome.status());
  return outcome;
}

arrow::Result<Outcome> ImageReader::Decode(std::string_view path, std::span<const uint8_t> file,
                                           const UseImage& use) {
  Stopwatch watch;
  std::variant<Picture, Reject> decoded = decoder_.Decode(file, path);
  watch.Lap(&decode_seconds_);
  if (const auto* picture = std::get_if<Picture>(&decoded)) {
    ARROW_RETURN_NOT_OK(use(*picture));
    return Outcome{Verdict::kRow, std::nullopt};
  }
  if (!path.empty() && !IsImage(path, file)) return Outcome{Verdict::kSkip, std::nullopt};
  return Outcome{Verdict::kReject, std::get<Reject>(std::move(decoded))};
}

}  // namespace pomona
