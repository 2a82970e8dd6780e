// The tags of a TIFF, of which a JPEG with several pictures carries one as well.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "pixels.h"

namespace pomona {

// The first directory of a classic or big TIFF; refers to the file's bytes. What is broken in it
// counts as absent, as in Pillow.
class TiffDirectory {
 public:
  // Nothing where the file ends in front of it.
  static std::optional<TiffDirectory> Read(std::span<const uint8_t> file);

  ByteOrder order() const { return order_; }
  bool Has(int tag) const { return entries_.contains(tag); }

  // Whether it stands there twice, or not with numbers of a type that TIFF gives to sizes, counts
  // and choices. Readers differ in what they make of it.
  bool IsMalformed(int tag) const { return malformed_.contains(tag); }

  // Whether all entries are there. Pillow stops at one whose values are not; libtiff passes over
  // it.
  bool complete() const { return complete_; }

  // At most `max` of the numbers of a tag; none where it is absent or holds something else.
  std::vector<uint64_t> Numbers(int tag, size_t max) const;

  // The first of them.
  uint64_t Number(int tag, uint64_t otherwise) const;

 private:
  struct Entry {
    int type;
    std::span<const uint8_t> bytes;
  };

  TiffDirectory() = default;
  uint64_t ReadNumber(const uint8_t* bytes, size_t size) const;
  bool HasBytes(uint64_t at, uint64_t count) const;
  bool ReadEntries();

  std::span<const uint8_t> file_;
  ByteOrder order_ = ByteOrder::kLittle;
  bool big_ = false;
  std::map<int, Entry> entries_;
  std::set<int> malformed_;
  bool complete_ = false;
};

}  // namespace pomona
