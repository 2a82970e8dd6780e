#include "image_reader.h"

#include <gtest/gtest.h>

#include <new>
#include <string>

#include "fakes.h"
#include "pomona/row_sink.h"

namespace pomona {
namespace {

// Reads `file` whatever it is asked for.
ImageReader::ReadBytes Reading(const std::string& file) {
  return [file](FileBytes* bytes) -> arrow::Result<std::optional<Reject>> {
    bytes->assign(file.begin(), file.end());
    return std::nullopt;
  };
}

struct RowCount : RowSink {
  void Begin(int, int) override { added = 0; }
  void Add(const uint8_t*, int count) noexcept override { added += count; }
  int added = 0;
};

arrow::Status Use(const PictureInfo&) { return arrow::Status::OK(); }

TEST(ImageReader, SaysWhatBecameOfAFile) {
  ImageMemory memory(0);
  ImageReader reader(&memory);
  RowCount rows;
  int width = 0;
  const auto row = reader.Process("a/1.png", 0, Reading(PngOf(1, 2, 3, 5, 7)), &rows,
                                  [&](const PictureInfo& it) {
                                    width = it.width;
                                    return arrow::Status::OK();
                                  });
  EXPECT_EQ(row->verdict, Verdict::kRow);
  EXPECT_FALSE(row->reject);
  EXPECT_EQ(width, 5);
  EXPECT_EQ(rows.added, 7);

  const auto broken = reader.Process("a/2.png", 0, Reading("text"), &rows, Use);
  EXPECT_EQ(broken->verdict, Verdict::kReject);
  EXPECT_EQ(broken->reject->reason, Reason::kCorrupt);

  const auto skipped = reader.Process("a/notes.txt", 0, Reading("text"), &rows, Use);
  EXPECT_EQ(skipped->verdict, Verdict::kSkip);
  EXPECT_FALSE(skipped->reject);
  EXPECT_EQ(std::string(reader.bytes().begin(), reader.bytes().end()), "text");

  const auto unread = reader.Process(
      "a/3.txt", 0,
      [](FileBytes*) -> arrow::Result<std::optional<Reject>> {
        return Reject{Stage::kRead, Reason::kForbidden, "permission denied"};
      },
      &rows, Use);
  EXPECT_EQ(unread->verdict, Verdict::kReject);
  EXPECT_EQ(unread->reject->reason, Reason::kForbidden);
}

// Who waits for it might wait for ever: a reader may get no other file.
TEST(ImageReader, MemoryForALargeFileIsFreeOnceItIsDone) {
  constexpr int64_t kSize = int64_t{20} << 20;
  ImageMemory memory(3 * kSize);  // files have half of it
  ImageReader first(&memory), second(&memory);
  RowCount rows;
  const std::string text(2 * kSniffBytes, 'x');
  const auto fails = [](const PictureInfo&) { return arrow::Status::IOError("no engine"); };
  EXPECT_FALSE(first.Process("a/1.png", kSize, Reading(PngOf(1, 2, 3)), &rows, fails).ok());
  EXPECT_EQ(second.Process("a/2.png", kSize, Reading(text), &rows, Use)->verdict, Verdict::kReject);
  EXPECT_EQ(second.bytes().size(), kSniffBytes);
  EXPECT_EQ(first.Process("a/3.png", kSize, Reading(PngOf(1, 2, 3)), &rows, Use)->verdict,
            Verdict::kRow);
}

TEST(ImageReader, BytesWithoutANameWereMeantToBeAnImage) {
  ImageMemory memory(0);
  RowCount rows;
  const std::string text = "text";
  const std::span file(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  EXPECT_EQ(ImageReader(&memory).Process("", file, &rows, Use)->verdict, Verdict::kReject);
  EXPECT_EQ(ImageReader(&memory).Process("text", file, &rows, Use)->verdict, Verdict::kSkip);
}

TEST(ImageReader, LackOfMemoryNamesTheImageAndOtherErrorsStayAsTheyAre) {
  ImageMemory memory(0);
  ImageReader reader(&memory);
  RowCount rows;
  const auto thrown =
      reader.Process("a/1.png", 0, Reading(PngOf(1, 2, 3)), &rows,
                     [](const PictureInfo&) -> arrow::Status { throw std::bad_alloc(); });
  EXPECT_TRUE(thrown.status().IsOutOfMemory());
  EXPECT_EQ(thrown.status().message(), "a/1.png: out of memory");
  const auto unread = reader.Process(
      "a/1.png", 0,
      [](FileBytes*) -> arrow::Result<std::optional<Reject>> {
        return arrow::Status::OutOfMemory("cannot read a/1.png");
      },
      &rows, Use);
  EXPECT_EQ(unread.status().message(), "cannot read a/1.png");
  const auto failed = reader.Process(
      "a/1.png", 0, Reading(PngOf(1, 2, 3)), &rows,
      [](const PictureInfo&) { return arrow::Status::IOError("the engine is gone"); });
  EXPECT_EQ(failed.status().message(), "the engine is gone");
}

}  // namespace
}  // namespace pomona
