// Fragments' moments -> the moments of all rows.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <string>

#include "pomona/pca.h"
#include "write_parts.h"

namespace pomona {

// Rounding depends on the order of additions, so this is fixed, whoever adds: a tree whose leaves
// are the fragments (level 0) and whose nodes merge kMergeFan of the level below, from left to
// right. Each node is a file of the work folder, and a task of its own.
inline constexpr size_t kMergeFan = 16;

// Of the tree over so many fragments: the level of its root, 1 at least, and the nodes of a level.
int MergeLevels(size_t fragments);
size_t MergeNodes(size_t fragments, int level);

// Makes a node of what is there of the level below, level >= 1. Threads: each node on any.
arrow::Status MergeMoments(const ExtractedRun& run, int level, size_t node);

// The moments of all rows. REQUIRES: all levels are made.
arrow::Result<Moments> ReadMerged(const ExtractedRun& run);

}  // namespace pomona
