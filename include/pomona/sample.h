// A labelled tree of synthetic fruit pictures, to try the program on.
#pragma once

#include <arrow/status.h>

#include <cstdint>
#include <string>

namespace pomona {

// Writes DIR/Training/<label>/<n>_100.jpg: 100x100 JPEGs, spread evenly over twelve labels. Picture
// n of a label has the same bytes every time, on every machine and whatever `images` is.
//
// Pictures of these names are written again, other files are left alone.
// `threads`: 0 for one for each core.
// Errors: Invalid where images or threads make no sense, IOError with the path.
arrow::Status WriteSampleTree(const std::string& dir, int64_t images, int threads);

}  // namespace pomona
