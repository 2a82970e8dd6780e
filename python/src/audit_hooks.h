// What calls about many rows of features share.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "arrow_bridge.h"
#include "hooks.h"
#include "pomona/audit.h"

namespace pomona::python {

// REQUIRES: the hooks outlive what is returned.
inline AuditHooks AuditHooksOf(const CallHooks& hooks) {
  const RunHooks& heard = hooks.hooks();
  const auto tell = [&heard](std::string_view stage, int64_t done, int64_t total) {
    heard.progress({stage, done, total, {}});
  };
  return {tell, heard.cancel};
}

// The rows in one piece.
inline std::span<const float> OnePiece(const Rows& rows, std::vector<float>* copy) {
  if (rows.blocks().size() == 1) return rows.blocks().front();
  copy->reserve(static_cast<size_t>(rows.count()) * static_cast<size_t>(rows.dimensions()));
  for (const auto& block : rows.blocks()) copy->insert(copy->end(), block.begin(), block.end());
  return *copy;
}

}  // namespace pomona::python
