#include "merge_moments.h"

#include <algorithm>
#include <string>
#include <vector>

#include "disk.h"
#include "pomona/safetensors.h"
#include "sha256.h"

namespace pomona {
namespace {

// By the fragments below the node, so that what another run left is never taken for it.
std::string NodePath(const ExtractedRun& run, int level, size_t node) {
  size_t span = 1;  // fragments below a node
  for (int i = 0; i < level; ++i) span *= kMergeFan;
  Sha256 key;
  const size_t end = std::min(run.fragments.size(), (node + 1) * span);
  for (size_t f = node * span; f < end; ++f) key.Add(run.fragments[f].range.key);
  return run.work.MomentsPath("merged-" + std::to_string(level) + '-' + std::to_string(node),
                              key.Hex());
}

arrow::Result<Moments> ReadNode(const ExtractedRun& run, int level, size_t node) {
  if (level == 0) {
    ARROW_ASSIGN_OR_RAISE(const StoredFragment fragment, run.OpenFragment(node));
    return fragment.ReadMoments();
  }
  const std::string path = NodePath(run, level, node);
  ARROW_RETURN_NOT_OK(run.work.Fetch(path).status());
  ARROW_ASSIGN_OR_RAISE(const auto file, SafetensorsFile::Open(path));
  return Moments::Read(*file, "");
}

}  // namespace

size_t MergeNodes(size_t fragments, int level) {
  for (int i = 0; i < level; ++i) fragments = (fragments + kMergeFan - 1) / kMergeFan;
  return fragments;
}

int MergeLevels(size_t fragments) {
  int level = 1;
  while (MergeNodes(fragments, level) > 1) ++level;
  return level;
}

arrow::Status MergeMoments(const ExtractedRun& run, int level, size_t node) {
  Moments moments(run.dimensions);
  const size_t end = std::min(MergeNodes(run.fragments.size(), level - 1), (node + 1) * kMergeFan);
  for (size_t child = node * kMergeFan; child < end; ++child) {
    ARROW_ASSIGN_OR_RAISE(const Moments part, ReadNode(run, level - 1, child));
    moments.Merge(part);
  }
  const std::string path = NodePath(run, level, node);
  const std::string bytes = moments.Serialize();
  ARROW_RETURN_NOT_OK(ReplaceFile(path, [&](OutputFile& file) {
    return file.Write(bytes.data(), static_cast<int64_t>(bytes.size()));
  }));
  return run.work.Share(path);
}

arrow::Result<Moments> ReadMerged(const ExtractedRun& run) {
  return ReadNode(run, MergeLevels(run.fragments.size()), 0);
}

}  // namespace pomona
