// Where trees and outputs are: paths of this machine, and s3:// URIs.
#pragma once

#include <arrow/result.h>

#include <string>
#include <string_view>

namespace pomona {

// Whether it begins with s3://, s3a:// or s3n://, in any case.
bool IsS3Uri(std::string_view text);

// The same as s3://bucket/key without slashes at its end. The key is taken as it stands: nothing in
// it is escaped, and '..' is text.
// Errors: Invalid where there is no bucket, or an empty name between slashes.
arrow::Result<std::string> NormalS3Uri(std::string_view uri);

// The absolute path that a local path or file: URI means, without "." and ".." in it; links are
// left as they are, except before a "..", which leads where the system would go. Errors:
// NotImplemented for s3:// and the like, Invalid for a URI of another machine.
arrow::Result<std::string> LocalPath(const std::string& path_or_uri);

// Where what is made for this user alone is kept from one run to the next: $XDG_CACHE_HOME/pomona
// or ~/.cache/pomona.
// Errors: Invalid where nothing says which folder that is.
arrow::Result<std::string> CacheFolder();

}  // namespace pomona
