// What users hear of a run beside its progress: hints, and what failed runs leave.
#pragma once

#include <arrow/status.h>

#include <cstdint>
#include <string>

#include "extract_fragments.h"
#include "listing.h"
#include "pomona/options.h"
#include "pomona/run.h"

namespace pomona {

// Says so where readers of the outputs would take the name of a folder for a column of ours.
void TellOfColumnNames(const std::string& output, const RunHooks& hooks);

// Says so where INPUT/Training is read and other folders of INPUT are not.
void TellOfOtherFolders(const Source& source, const std::string& output, const RunHooks& hooks);

// Of a tree in which nothing was selected.
arrow::Status NoFiles(const std::string& input, const PathFilter& filter,
                      const RunOptions& options);

// Says what was left out that the user may have meant and, where the filter has seen everything,
// which globs matched nothing.
void TellOfFilter(const PathFilter& filter, bool saw_everything, const RunHooks& hooks);

// A failed run's error, with what is kept of it and the cure where that is known. `space_needed`:
// bytes; 0: not known.
arrow::Status WithCure(const arrow::Status& status, const Kept& kept, const std::string& folder,
                       int64_t space_needed);

}  // namespace pomona
