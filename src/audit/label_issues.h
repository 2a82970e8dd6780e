// Images that look as if their label were wrong.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "pomona/cancel.h"
#include "pomona/cpu.h"
#include "published_rows.h"
#include "tiles.h"

namespace pomona::audit {

inline constexpr uint32_t kNoLabel = UINT32_MAX;

// What the neighbours of an image and the centroids of the labels say of its label, all by their short
// vectors. Distances are 1 - cosine.
struct LabelVerdict {
  double label_distance = 0;  // from the centroid of its label
  // The other label whose centroid is nearest, if there is any.
  uint32_t nearest_label = kNoLabel;
  std::optional<double> nearest_label_distance;
  // Share of the neighbours that have its label; of images that are judged.
  std::optional<double> agreement;
  uint32_t suggested_label = 0;  // that of most neighbours; its own where no other has more
  double score = 1;              // (1 + agreement - share of the other label with most) / 2
  bool is_issue = false;
};

// An issue is an image whose neighbours have another label more often than its own, and at least as
// often as those of that label's own images have it on average. Not judged are images without a label
// and those that are the only one of theirs: they score 1.
arrow::Result<std::vector<LabelVerdict>> JudgeLabels(const PublishedRows& rows, const Tiles& tiles,
                                                     int neighbours, int threads, Cpu cpu,
                                                     CancelToken cancel, const TilesDone& poll);

}  // namespace pomona::audit
