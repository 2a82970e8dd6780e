// The checksums of a run's files, in the format of sha256sum: `sha256sum -c` in the output reads
// run_info/run_info_{id}/_SHA256SUMS.
#pragma once

#include <arrow/result.h>

#include <map>
#include <string>

#include "published_files.h"

namespace pomona {

// SHA-256 in hexadecimal by path below the output.
using Checksums = std::map<std::string, std::string>;

inline constexpr const char* kChecksumsName = "_SHA256SUMS";

// Below the output.
std::string ChecksumsPath(const std::string& run_id);
std::string ChecksumsText(const Checksums& checksums);

// The content of a file of a run, which is as it was published. Errors: those of Read(); Invalid where
// it is another, or none of the run's.
arrow::Result<std::string> ReadChecked(const PublishedFiles& files, const Checksums& checksums,
                                       const std::string& below);

// All paths are of files in the run's folders. Errors: IOError, Invalid; both name the file.
arrow::Result<Checksums> ReadChecksums(const PublishedFiles& files, const std::string& run_id);

}  // namespace pomona
