#include "pomona/location.h"

#include <pwd.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

namespace pomona {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSchemes[] = {"s3://", "s3a://", "s3n://"};

// Of a URI that begins with file:/, as any program may write it: with one slash or three, with or
// without escapes.
arrow::Result<std::string> PathOfUri(const std::string& uri) {
  std::string_view text = std::string_view(uri).substr(std::string_view("file:").size());
  if (text.starts_with("//")) {
    const size_t path = std::min(text.find('/', 2), text.size());
    const std::string_view host = text.substr(2, path - 2);
    if (path == text.size() || (!host.empty() && host != "localhost")) {
      return arrow::Status::Invalid(uri, ": names no folder of this machine; write file:///folder");
    }
    text.remove_prefix(path);
  }
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    const char* const digits = text.data() + i + 1;
    if (text[i] == '%' && text.size() - i > 2 &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      path += static_cast<char>(byte);
      i += 2;
    } else {
      path += text[i];
    }
  }
  return path;
}

}  // namespace

bool IsS3Uri(std::string_view text) {
  return std::any_of(std::begin(kSchemes), std::end(kSchemes), [&](std::string_view scheme) {
    return strncasecmp(text.data(), scheme.data(), std::min(text.size(), scheme.size())) == 0 &&
           text.size() >= scheme.size();
  });
}

arrow::Result<std::string> NormalS3Uri(std::string_view uri) {
  std::string path(uri.substr(uri.find("://") + 3));
  while (path.ends_with('/')) path.pop_back();
  if (!IsS3Uri(uri) || path.empty() || path.front() == '/') {
    return arrow::Status::Invalid("'", uri, "': expected s3://bucket/prefix");
  }
  if (path.find("//") != std::string::npos) {
    return arrow::Status::Invalid("'", uri, "': names between slashes cannot be empty");
  }
  return "s3://" + path;
}

arrow::Result<std::string> LocalPath(const std::string& path_or_uri) {
  std::string path = path_or_uri;
  if (path.empty()) return arrow::Status::Invalid("an empty path names no folder");
  if (strncasecmp(path.c_str(), "file:/", 6) == 0) {
    ARROW_ASSIGN_OR_RAISE(path, PathOfUri(path));
  } else if (const size_t colon = path.find("://"); colon != std::string::npos) {
    return arrow::Status::NotImplemented(path, ": only local folders and s3:// can be used (",
                                         path.substr(0, colon), ":// cannot)");
  }
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  if (error) return arrow::Status::IOError(path, ": ", error.message());
  fs::path normal = "/";
  for (const fs::path& name : absolute.relative_path()) {
    if (name.empty() || name == ".") continue;
    if (name != "..") {
      normal /= name;
      continue;
    }
    // Above a link is what is above the folder that it leads to.
    if (fs::is_symlink(normal, error)) {
      fs::path real = fs::canonical(normal, error);
      if (error) return arrow::Status::IOError(normal.string(), ": ", error.message());
      normal = std::move(real);
    }
    normal = normal.parent_path();
  }
  return normal.string();
}

arrow::Result<std::string> CacheFolder() {
  // Relative paths are to be ignored, as the standard of XDG_CACHE_HOME says: they would name
  // another folder wherever the program is called.
  const auto absolute = [](const char* path) { return path != nullptr && *path == '/'; };
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); absolute(cache)) {
    return fs::path(cache) / "pomona";
  }
  const char* home = std::getenv("HOME");
  if (!absolute(home)) {
    const passwd* const user = getpwuid(getuid());
    home = user != nullptr ? user->pw_dir : nullptr;
  }
  if (!absolute(home)) {
    return arrow::Status::Invalid(
        "there is no folder for what is kept between runs: set HOME or XDG_CACHE_HOME");
  }
  return fs::path(home) / ".cache/pomona";
}

}  // namespace pomona
