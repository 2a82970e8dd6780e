#include "image_reader.h"

#include <gtest/gtest.h>

#include <new>
#include <string>

#include "fakes.h"

namespace pomona {
namespace {

// Reads `file` whatever it is asked for.
ImageReader::ReadBytes Reading(const std::string& file) {
  return [file](FileBytes* bytes) -> arrow::Result<std::optional<Reject>> {
    bytes->assign(file.begin(), file.end());
    return std::nullopt;
  };
}

arrow::Status Use(const Picture&) { return arrow::Status::OK(); }

TEST(ImageReader, SaysWhatBecameOfAFile) {
  ImageReader reader;
  int width = 0;
  const auto row = reader.Process("a/1.png", Reading(PngOf(1, 2, 3, 5, 7)), [&](const Picture& it) {
    width = it.width;
    return arrow::Status::OK();
  });
  EXPECT_EQ(row->verdict, Verdict::kRow);
  EXPECT_FALSE(row->reject);
  EXPECT_EQ(width, 5);

  const auto broken = reader.Process("a/2.png", Reading("text"), Use);
  EXPECT_EQ(broken->verdict, Verdict::kReject);
  EXPECT_EQ(broken->reject->reason, Reason::kCorrupt);

  const auto skipped = reader.Process("a/notes.txt", Reading("text"), Use);
  EXPECT_EQ(skipped->verdict, Verdict::kSkip);
  EXPECT_FALSE(skipped->reject);
  EXPECT_EQ(std::string(reader.bytes().begin(), reader.bytes().end()), "text");

  const auto unread = reader.Process(
      "a/3.txt",
      [](FileBytes*) -> arrow::Result<std::optional<Reject>> {
        return Reject{Stage::kRead, Reason::kForbidden, "permission denied"};
      },
      Use);
  EXPECT_EQ(unread->verdict, Verdict::kReject);
  EXPECT_EQ(unread->reject->reason, Reason::kForbidden);
}

TEST(ImageReader, BytesWithoutANameWereMeantToBeAnImage) {
  const std::string text = "text";
  const std::span file(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  EXPECT_EQ(ImageReader().Process("", file, Use)->verdict, Verdict::kReject);
  EXPECT_EQ(ImageReader().Process("text", file, Use)->verdict, Verdict::kSkip);
}

TEST(ImageReader, LackOfMemoryNamesTheImageAndOtherErrorsStayAsTheyAre) {
  ImageReader reader;
  const auto thrown =
      reader.Process("a/1.png", Reading(PngOf(1, 2, 3)),
                     [](const Picture&) -> arrow::Status { throw std::bad_alloc(); });
  EXPECT_TRUE(thrown.status().IsOutOfMemory());
  EXPECT_EQ(thrown.status().message(), "a/1.png: out of memory");
  const auto unread = reader.Process(
      "a/1.png",
      [](FileBytes*) -> arrow::Result<std::optional<Reject>> {
        return arrow::Status::OutOfMemory("cannot read a/1.png");
      },
      Use);
  EXPECT_EQ(unread.status().message(), "cannot read a/1.png");
  const auto failed = reader.Process("a/1.png", Reading(PngOf(1, 2, 3)), [](const Picture&) {
    return arrow::Status::IOError("the engine is gone");
  });
  EXPECT_EQ(failed.status().message(), "the engine is gone");
}

}  // namespace
}  // namespace pomona
