// OUTPUT/README.md: the tables of the newest run, told to people and to Hugging Face's `datasets`.
#pragma once

#include <arrow/result.h>

#include <string>

#include "output.h"

namespace pomona {

// Makes README.md a dataset card (https://huggingface.co/docs/hub/datasets-cards) of the run, or
// removes it where `run_id` is "": its `configs` name the tables that have rows, and are what
// `datasets.load_dataset(OUTPUT, "features")` goes by. The same run gives the same bytes. A README
// without the line that says it is ours is left as it is; false then.
//
// REQUIRES: the output is locked, and the run is published.
// Errors: those of reading the run or the README, or of writing it; the card is as it was then.
arrow::Result<bool> UpdateCard(Output& output, const std::string& run_id);

// The same of the newest run that is published, `without` aside, whose card goes before it does.
// Errors: as above. REQUIRES: the output is locked.
arrow::Status RefreshCard(Output& output, const std::string& without = "");

}  // namespace pomona
