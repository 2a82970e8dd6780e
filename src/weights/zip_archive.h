// The files of a zip archive.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pomona {

// An archive's directory. What it says of its members is looked at when they are read.
class ZipArchive {
 public:
  // bytes: the archive, which has to outlive this.
  // Errors, here and below: Invalid where it is damaged, encrypted, or compressed in another way
  // than by deflate; CapacityError where it is larger than is read here. None names the path.
  static arrow::Result<ZipArchive> Open(std::string_view bytes);

  bool Has(std::string_view name) const { return entries_.contains(name); }

  // The whole names of the members that end so.
  std::vector<std::string> EndingIn(std::string_view end) const;

  // The bytes of a member, stored or deflated.
  // Errors: KeyError where there is no such member; CapacityError where it has more than `limit`
  // bytes.
  arrow::Result<std::vector<uint8_t>> Read(std::string_view name, size_t limit) const;

 private:
  std::string_view bytes_;
  std::map<std::string, std::string_view, std::less<>> entries_;  // of the directory, by names
};

}  // namespace pomona
