#include "store/item_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "temp_folder.h"

namespace pomona {
namespace {

// Of three rows.
std::string Record() {
  const TempFolder folder;
  ItemRecordBuilder builder;
  for (int i = 0; i < 3; ++i) {
    const Item item{"/t/a/" + std::to_string(i), 3, 10 + i, 20 + i, 30 + i};
    builder.Add(item, {NameOf("PNG"), NameOf("RGB"), 4, 5 + i, {}}, std::vector<float>{1, 2});
  }
  EXPECT_TRUE(builder.Write(folder / "record", "recipe").ok());
  return ReadFile(folder / "record");
}

TEST(ItemRecord, ComesBackAsItWas) {
  const auto record = ItemRecord::Parse("record", Record());
  ASSERT_TRUE(record.ok()) << record.status();
  const auto is = [](std::span<const int64_t> column, const std::vector<int64_t>& expected) {
    return std::ranges::equal(column, expected);
  };
  EXPECT_TRUE(is(record->sizes, {10, 11, 12}));
  EXPECT_TRUE(is(record->times, {20, 21, 22}));
  EXPECT_TRUE(is(record->states, {30, 31, 32}));
  ASSERT_EQ(record->checksums.size(), 3U);
  EXPECT_EQ(record->checksums[1], RowChecksum("a/1", std::vector<float>{1, 2}));
  EXPECT_NE(record->checksums[0], record->checksums[1]);
  ASSERT_EQ(record->images.size(), 3U);
  EXPECT_EQ(record->images[2].height, 7);
  EXPECT_EQ(record->recipe, "recipe");
  EXPECT_EQ(record->root, HexOfPath("/t/"));
  EXPECT_EQ(record->last_path, HexOfPath("a/2"));
}

// A file of these tensors, changed by `change`.
using Tensors = std::map<std::string, TensorView>;
std::string Changed(
    const std::function<void(Tensors&, std::map<std::string, std::string>&)>& change) {
  const std::string sound = Record();
  const auto file = *SafetensorsFile::Copy("record", std::as_bytes(std::span(sound)));
  Tensors tensors = file->tensors();
  std::map<std::string, std::string> metadata = file->metadata();
  change(tensors, metadata);
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : tensors) named.push_back({name, tensor});
  return *SerializeSafetensors(named, metadata);
}

TEST(ItemRecord, OfAnotherShapeIsNone) {
  EXPECT_TRUE(ItemRecord::Parse("record", Changed([](auto&, auto&) {})).ok());
  for (const char* name : {"size", "modified_ns", "state", "row_checksum", "image"}) {
    const auto refused = [&](const std::function<void(Tensors&)>& change) {
      const std::string bytes = Changed([&](Tensors& tensors, auto&) { change(tensors); });
      const arrow::Status status = ItemRecord::Parse("record", bytes).status();
      EXPECT_FALSE(status.ok()) << name;
      EXPECT_NE(status.message().find("record"), std::string::npos) << status;
    };
    refused([&](Tensors& tensors) { tensors.erase(name); });
    refused([&](Tensors& tensors) {  // of two rows
      TensorView& tensor = tensors[name];
      tensor.bytes = tensor.bytes.first(tensor.bytes.size() / 3 * 2);
      tensor.shape[0] = 2;
    });
    refused([&](Tensors& tensors) {  // the same bytes, but no numbers of this kind
      TensorView& tensor = tensors[name];
      tensor.dtype = DType::kI32;
      tensor.shape = {static_cast<int64_t>(tensor.bytes.size()) / 4};
    });
  }
  // As earlier versions left it.
  EXPECT_TRUE(
      ItemRecord::Parse("record", Changed([](auto&, auto& metadata) { metadata.erase("root"); }))
          .status()
          .IsInvalid());
}

TEST(ItemRecord, IsReadFromAnybodysBytes) {
  const std::string sound = Record();
  for (size_t size = 0; size < sound.size(); ++size) {
    EXPECT_FALSE(ItemRecord::Parse("record", sound.substr(0, size)).ok()) << size;
  }
  for (size_t at = 0; at < sound.size(); ++at) {
    for (const char bit : {'\x01', '\x20', '\x80'}) {
      std::string bytes = sound;
      bytes[at] = static_cast<char>(bytes[at] ^ bit);
      const auto record = ItemRecord::Parse("record", bytes);
      if (!record.ok()) continue;
      for (const auto column : {record->times, record->states, record->checksums}) {
        EXPECT_EQ(column.size(), record->sizes.size());
      }
      EXPECT_EQ(record->images.size(), record->sizes.size());
    }
  }
}

}  // namespace
}  // namespace pomona
