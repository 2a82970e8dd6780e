// Which files belong to which run of an output.
#pragma once

#include <arrow/result.h>

#include <string>
#include <vector>

#include "pomona/published_output.h"
#include "published_files.h"

namespace pomona {

// Every run of which there are files, the newest first: id, time, number of files and their size.
// One that is half removed is among them, without a time.
arrow::Result<std::vector<PublishedRun>> FindRuns(const PublishedFiles& files);

// The same of the run of this id, which may have no files at all. `stranger`: the first file or
// folder in its folders that no run leaves there, by its path below the output, where there is one.
// Errors: Invalid for what cannot be an id.
arrow::Result<PublishedRun> FindRun(const PublishedFiles& files, const std::string& run_id,
                                    std::string* stranger = nullptr);

}  // namespace pomona
