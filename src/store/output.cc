#include "output.h"

#include <utility>

#include "disk.h"
#include "local_output.h"
#include "pomona/location.h"
#include "s3_output.h"

namespace pomona {

arrow::Status RunExists(const std::string& run_id, const std::string& location) {
  return arrow::Status::AlreadyExists("the run ", run_id, " is already published in ", location,
                                      "; choose another --run-id");
}

arrow::Status FolderExists(const std::string& path, const std::string& run_id) {
  return arrow::Status::AlreadyExists(path, " is there already, though no run ", run_id,
                                      " is published; choose another --run-id");
}

arrow::Result<std::unique_ptr<Output>> OpenOutput(const std::string& path_or_uri,
                                                  const S3Options& s3, CancelToken cancel,
                                                  OutputFolders folders) {
  if (IsS3Uri(path_or_uri)) return S3Output::Open(path_or_uri, s3, cancel, folders);
  ARROW_ASSIGN_OR_RAISE(std::string path, LocalPath(path_or_uri));
  return std::make_unique<LocalOutput>(std::move(path), folders);
}

arrow::Result<std::unique_ptr<Output>> OpenAudits(const std::string& path_or_uri,
                                                  const S3Options& s3, CancelToken cancel) {
  const std::string folder(kAuditFolder);
  if (IsS3Uri(path_or_uri)) {
    ARROW_ASSIGN_OR_RAISE(const std::string uri, NormalS3Uri(path_or_uri));
    return S3Output::Open(uri + '/' + folder, s3, cancel, kAuditFolders);
  }
  ARROW_ASSIGN_OR_RAISE(const std::string path, LocalPath(path_or_uri));
  ARROW_RETURN_NOT_OK(CheckFolders(path, folder));
  return std::make_unique<LocalOutput>(path + '/' + folder, kAuditFolders);
}

}  // namespace pomona
