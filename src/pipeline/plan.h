// What a run is, written down for other processes.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/options.h"
#include "pomona/run.h"
#include "store/item_spool.h"
#include "store/work_folder.h"

namespace pomona {

// Everything that the tasks of a run depend on beside the files that they read: the same plan, the
// same bytes. It lies in the work folder, beside the list of items.
struct Plan {
  std::string run_id;
  std::string input;
  RunOptions options;
  std::string engine;
  std::string weights_digest;
  std::string preprocessing;  // its recorded name
  std::string recipe;         // see RangeOf()
  int dimensions = 0;         // of the features
  std::string earlier_run;    // whose features are reused; empty: none's
  int64_t unlabelled = 0;     // items in no folder
  int slices = 1;             // extract tasks to a fragment
  std::vector<ListedFragment> fragments;
  std::string digest;  // of its text

  int64_t items() const;

  // That an engine of these weights computes what was planned. Errors: Invalid says what is other.
  arrow::Status CheckModel(const ModelIdentity& model, std::string_view engine_name) const;

  // The items of a fragment, to be read. What the spool holds may be anybody's: they have to be
  // those that were planned, and below the input. Errors: Invalid, IOError.
  arrow::Result<std::vector<Item>> ItemsOf(const ListedFragment& fragment,
                                           const ItemSpool& spool) const;

  // Writes it to the work folder, for others too, and sets the digest.
  arrow::Status Write(const WorkFolder& work);

  // The plan in the work folder, which may be anybody's.
  // Errors: KeyError where there is none; Invalid where it is another run's, or damaged.
  static arrow::Result<Plan> Read(const WorkFolder& work, const std::string& run_id);
};

// What a process has to be told to do tasks of a run: where its plan lies, and which it is.
struct JobText {
  std::string output;  // a path or URI
  std::string run_id;
  std::string plan_digest;
  S3Options s3;

  std::string ToText() const;
  // Errors: Invalid.
  static arrow::Result<JobText> Parse(const std::string& text);
};

}  // namespace pomona
