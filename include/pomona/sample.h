// A labelled tree of synthetic fruit images, to try the program on.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <string>

namespace pomona {

// Writes DIR/Training/<label>/<n>_100.jpg: 100x100 JPEGs, spread evenly over twelve labels. Picture
// n of a label has the same bytes every time, on every machine and whatever `images` is.
//
// Pictures of an earlier call are left as they are. In a folder that holds anything else, or a
// picture that was changed since, nothing is written.
// Returns how many pictures the tree has then, those of earlier calls among them.
// `threads`: 0 for one for each core.
// Errors: Invalid where images or threads make no sense, or `dir` holds what is not a sample's;
// IOError with the path, or where not so many threads can be started.
arrow::Result<int64_t> WriteSampleTree(const std::string& dir, int64_t images, int threads);

}  // namespace pomona
