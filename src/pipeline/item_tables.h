// What a run tells of its items beside their vectors: metadata of its rows, errors of its rejects.
// CSV has of each what the original had and what a person needs; Parquet tells the rest.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/status.h>

#include <cstdint>
#include <memory>
#include <span>

#include "pomona/item.h"
#include "store/image_properties.h"
#include "write_parts.h"

namespace pomona {

// One part of metadata_{id}, in CSV and, where Parquet is among the formats, in Parquet. `images`: of
// the items, one each. `first_row`: the number of the first in the run.
arrow::Status WriteMetadata(const ExtractedRun& run, std::span<const Item> items,
                            std::span<const ImageProperties> images, size_t part,
                            int64_t first_row);

// errors_{id}: a row for each of so many rejects, in path order. Closes the streams; `parquet` may be
// null. Opens no fragment behind the last of them, as it may have to be brought here.
// Memory: a fragment's rejects, and as many of Parquet as a part has rows.
arrow::Status WriteErrors(const ExtractedRun& run, int64_t rejects, arrow::io::OutputStream* csv,
                          std::shared_ptr<arrow::io::OutputStream> parquet);

}  // namespace pomona
