#include "item_record.h"

#include <utility>

#include "sha256.h"

namespace pomona {

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) {
    hex += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    hex += "0123456789abcdef"[c & 15];
  }
  return hex;
}

int64_t RowChecksum(std::string_view path, std::span<const float> features) {
  const auto bytes =
      std::span(reinterpret_cast<const uint8_t*>(features.data()), features.size_bytes());
  return Sha256().Add(path).Add(bytes).Short();
}

void ItemRecordBuilder::Add(const Item& item, std::span<const float> features) {
  sizes_.push_back(item.size);
  times_.push_back(item.modified_ns);
  states_.push_back(item.state);
  checksums_.push_back(RowChecksum(item.path, features));
  last_path_ = item.path;
}

arrow::Status ItemRecordBuilder::Write(const std::string& path, const std::string& recipe) const {
  const auto column = [](const std::vector<int64_t>& values) {
    return TensorView{
        DType::kI64, {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values))};
  };
  return WriteSafetensors(path,
                          {{"size", column(sizes_)},
                           {"modified_ns", column(times_)},
                           {"state", column(states_)},
                           {"row_checksum", column(checksums_)}},
                          {{"recipe", recipe}, {"last_path", Hex(last_path_)}});
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
  const auto& metadata = record.file->metadata();
  for (const auto& [name, text] :
       {std::pair{"recipe", &record.recipe}, {"last_path", &record.last_path}}) {
    const auto entry = metadata.find(name);
    if (entry != metadata.end()) *text = entry->second;
  }
  return record;
}

}  // namespace pomona
