// One file out of a zip archive.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pomona {

// The bytes of the member `name`, stored or deflated, of the archive at `path`.
// Errors: KeyError where there is no such member; CapacityError where it has more than `limit`
// bytes; Invalid where the archive is damaged, encrypted, or compressed in another way. None names
// the path.
arrow::Result<std::vector<uint8_t>> ReadZipMember(const std::string& path, std::string_view name,
                                                  size_t limit);

}  // namespace pomona
