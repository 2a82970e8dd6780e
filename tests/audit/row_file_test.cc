#include "row_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "temp_folder.h"

namespace pomona::audit {
namespace {

TEST(RowFileTest, GivesBackWhatWasWritten) {
  const TempFolder folder;
  constexpr size_t kWidth = 3;
  constexpr uint32_t kRows = 30000;  // more than a reader keeps
  const auto file = RowFile::Create(folder / "rows", kWidth).ValueOrDie();
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  std::vector<float> rows(kRows * kWidth);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i);
  const std::span<const float> all(rows);
  constexpr size_t kHalf = kRows / 2;
  ASSERT_TRUE(file.Write(kHalf, all.subspan(kHalf * kWidth)).ok());
  ASSERT_TRUE(file.Write(0, all.first(kHalf * kWidth)).ok());
  RowFile::Reader reader(file);
  for (uint32_t i = 0; i < 2 * kRows; ++i) {
    const uint32_t row = static_cast<uint32_t>(uint64_t{i} * 7919 % kRows);
    const float* const read = reader.Read(row).ValueOrDie();
    ASSERT_EQ(std::vector<float>(read, read + kWidth),
              std::vector<float>(&rows[row * kWidth], &rows[row * kWidth] + kWidth));
  }
  EXPECT_TRUE(reader.Read(kRows).status().IsIOError());
}

TEST(RowFileTest, NamesAFolderThatIsNotThere) {
  const auto file = RowFile::Create("/nowhere/rows", 1);
  EXPECT_NE(file.status().message().find("/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace pomona::audit
