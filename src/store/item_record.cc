#include "item_record.h"

#include <utility>

#include "hex.h"
#include "sha256.h"

namespace pomona {

std::string HexOfPath(std::string_view path) {
  return Hex(std::span(reinterpret_cast<const uint8_t*>(path.data()), path.size()));
}

int64_t RowChecksum(std::string_view relative_path, std::span<const float> features) {
  const auto bytes =
      std::span(reinterpret_cast<const uint8_t*>(features.data()), features.size_bytes());
  return Sha256().Add(relative_path).Add(bytes).Short();
}

void ItemRecordBuilder::Add(const Item& item, const ImageProperties& image,
                            std::span<const float> features) {
  sizes_.push_back(item.size);
  times_.push_back(item.modified_ns);
  states_.push_back(item.state);
  checksums_.push_back(RowChecksum(item.relative_path(), features));
  images_.push_back(image);
  root_ = item.path.substr(0, item.root_size);
  last_path_ = item.relative_path();
}

arrow::Status ItemRecordBuilder::Write(const std::string& path, const std::string& recipe) const {
  const auto column = [](const std::vector<int64_t>& values) {
    return TensorView{
        DType::kI64, {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values))};
  };
  const std::vector<std::byte> images = BytesOf(images_);
  return WriteSafetensors(
      path,
      {{"size", column(sizes_)},
       {"modified_ns", column(times_)},
       {"state", column(states_)},
       {"row_checksum", column(checksums_)},
       {"image", TensorOf(images_.size(), images)}},
      {{"recipe", recipe}, {"root", HexOfPath(root_)}, {"last_path", HexOfPath(last_path_)}});
}

arrow::Result<ItemRecord> ItemRecord::Parse(const std::string& path, std::string_view bytes) {
  ItemRecord record;
  ARROW_ASSIGN_OR_RAISE(record.file, SafetensorsFile::Copy(path, std::as_bytes(std::span(bytes))));
  for (const auto& [name, column] : {std::pair{"size", &record.sizes},
                                     {"modified_ns", &record.times},
                                     {"state", &record.states},
                                     {"row_checksum", &record.checksums}}) {
    ARROW_ASSIGN_OR_RAISE(const TensorView tensor, record.file->Get(name));
    *column = tensor.values<int64_t>();
    if (tensor.dtype != DType::kI64 || column->size() != record.sizes.size()) {
      return arrow::Status::Invalid(path, ": no record of items");
    }
  }
  ARROW_ASSIGN_OR_RAISE(const TensorView images, record.file->Get("image"));
  auto read = ImagesIn(images);
  if (!read.ok()) return read.status().WithMessage(path, ": ", read.status().message());
  record.images = *std::move(read);
  const auto& metadata = record.file->metadata();
  for (const auto& [name, text] : {std::pair{"recipe", &record.recipe},
                                   {"root", &record.root},
                                   {"last_path", &record.last_path}}) {
    const auto entry = metadata.find(name);
    if (entry != metadata.end()) *text = entry->second;
  }
  if (!metadata.contains("root") || record.images.size() != record.sizes.size()) {
    return arrow::Status::Invalid(path, ": no record of items");
  }
  return record;
}

}  // namespace pomona
