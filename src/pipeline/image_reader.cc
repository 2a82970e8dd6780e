#include "image_reader.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "allowance.h"
#include "guarded.h"
#include "pomona/row_sink.h"
#include "stopwatch.h"

namespace pomona {
namespace {

class TimedRows : public RowSink {
 public:
  explicit TimedRows(RowSink* rows) : rows_(rows) {}

  void Begin(int width, int height) override {
    Stopwatch watch;
    rows_->Begin(width, height);
    watch.Lap(&seconds_);
  }
  void Add(const uint8_t* rows, int count) noexcept override {
    Stopwatch watch;
    rows_->Add(rows, count);
    watch.Lap(&seconds_);
  }
  double seconds() const { return seconds_; }

 private:
  RowSink* const rows_;
  double seconds_ = 0;
};

}  // namespace

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

// What nobody asked for may not make a verdict depend on the machine.
ImageMemory::ImageMemory(int64_t bytes)
    : files((bytes ? bytes : DefaultPictureMemory()) / 2, MemoryBudget::Excess::kAlone),
      pictures(files.bytes(),
               bytes ? MemoryBudget::Excess::kRefused : MemoryBudget::Excess::kAlone) {}

ImageReader::ImageReader(ImageMemory* memory, int scaled_side)
    : memory_(*memory), decoder_({}, &memory->pictures, scaled_side) {}

arrow::Result<Outcome> ImageReader::Process(std::string_view path, int64_t size,
                                            const ReadBytes& read, RowSink* rows,
                                            const UseImage& use) {
  bytes_.clear();
  // Of what is larger than an image may be no more than the beginning is read.
  std::optional<MemoryBudget::Claim> claim;
  if (size > kUncountedBytes && size <= kMaxFileBytes) claim = memory_.files.Take(size);
  auto outcome = ReadAndDecode(path, read, rows, use);
  // Not kept until the next file: who gets none would keep the others waiting for the memory. Nor
  // that of a file that has grown since it was listed.
  if (claim || static_cast<int64_t>(bytes_.capacity()) > kUncountedBytes) {
    bytes_.resize(std::min(bytes_.size(), kSniffBytes));
    bytes_.shrink_to_fit();
  }
  return outcome;
}

arrow::Result<Outcome> ImageReader::ReadAndDecode(std::string_view path, const ReadBytes& read,
                                                  RowSink* rows, const UseImage& use) {
  Stopwatch watch;
  auto unread = Guarded([&] { return read(&bytes_); });
  watch.Lap(&read_);
  if (!unread.ok()) return AtImage(path, unread.status());
  read_bytes_ += std::ssize(bytes_);
  if (*unread) return Outcome{Verdict::kReject, *std::move(unread)};
  return Process(path, bytes_, rows, use);
}

arrow::Result<Outcome> ImageReader::Process(std::string_view path, std::span<const uint8_t> file,
                                            RowSink* rows, const UseImage& use) {
  auto outcome = Guarded([&] { return Decode(path, file, rows, use); });
  if (!outcome.ok()) return AtImage(path, outcome.status());
  return outcome;
}

arrow::Result<Outcome> ImageReader::Decode(std::string_view path, std::span<const uint8_t> file,
                                           RowSink* rows, const UseImage& use) {
  Stopwatch watch;
  TimedRows timed(rows);
  std::variant<PictureInfo, Reject> decoded = decoder_.Decode(file, &timed, path);
  decode_.Add(watch.Lap() - timed.seconds());
  if (const auto* picture = std::get_if<PictureInfo>(&decoded)) {
    rows_.Add(timed.seconds());
    ARROW_RETURN_NOT_OK(use(*picture));
    return Outcome{Verdict::kRow, std::nullopt};
  }
  if (!path.empty() && !IsImage(path, file)) return Outcome{Verdict::kSkip, std::nullopt};
  return Outcome{Verdict::kReject, std::get<Reject>(std::move(decoded))};
}

}  // namespace pomona
