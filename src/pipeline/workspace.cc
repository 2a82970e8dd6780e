#include "workspace.h"

#include <arrow/io/file.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "layout.h"
#include "refusal.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWorkFolder = "_pomona";
constexpr const char* kSuccess = "_SUCCESS";

arrow::Status Failed(std::string_view what, const std::string& path, int error) {
  return arrow::Status::IOError("cannot ", what, " ", path, ": ", std::strerror(error));
}

arrow::Status MakeFolders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error ? Failed("create the folder", path, error.value()) : arrow::Status::OK();
}

arrow::Status RemoveAll(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  return error ? Failed("remove", path, error.value()) : arrow::Status::OK();
}

// Flushes a file or a folder's list of names to the disk.
arrow::Status Sync(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed("open", path, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return error ? Failed("flush", path, error) : arrow::Status::OK();
}

// Arrow's file stream, which closes without flushing to the disk.
class DurableStream : public arrow::io::OutputStream {
 public:
  DurableStream(std::shared_ptr<arrow::io::FileOutputStream> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  arrow::Status Close() override {
    if (file_->closed()) return arrow::Status::OK();
    const int error = fsync(file_->file_descriptor()) == 0 ? 0 : errno;
    ARROW_RETURN_NOT_OK(file_->Close());
    return error ? Failed("flush", path_, error) : arrow::Status::OK();
  }
  bool closed() const override { return file_->closed(); }
  arrow::Result<int64_t> Tell() const override { return file_->Tell(); }
  arrow::Status Write(const void* data, int64_t size) override { return file_->Write(data, size); }
  using arrow::io::OutputStream::Write;

 private:
  std::shared_ptr<arrow::io::FileOutputStream> file_;
  std::string path_;
};

arrow::Result<std::shared_ptr<arrow::io::OutputStream>> OpenDurable(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::FileOutputStream::Open(path));
  return std::make_shared<DurableStream>(std::move(file), path);
}

}  // namespace

Workspace::Workspace(std::string output, std::string run_id)
    : output_(std::move(output)), work_(output_ + "/" + kWorkFolder), run_id_(std::move(run_id)) {}

Workspace::~Workspace() {
  if (lock_ >= 0) close(lock_);
}

arrow::Result<std::unique_ptr<Workspace>> Workspace::Open(const std::string& output,
                                                          const std::string& run_id, bool fresh) {
  std::unique_ptr<Workspace> workspace(new Workspace(output, run_id));
  ARROW_RETURN_NOT_OK(MakeFolders(workspace->work_));
  ARROW_RETURN_NOT_OK(workspace->Lock());
  const std::string published = workspace->PublishedFolder(kRunInfo);
  if (fs::exists(published)) {
    return arrow::Status::Invalid("the run ", run_id, " is already published in ", output,
                                  "; choose another --run-id");
  }
  // Parts of a run that did not reach its end are made again from the fragments.
  ARROW_RETURN_NOT_OK(RemoveAll(workspace->work_ + "/publish"));
  if (fresh) ARROW_RETURN_NOT_OK(RemoveAll(workspace->work_ + "/fragments"));
  ARROW_RETURN_NOT_OK(MakeFolders(workspace->work_ + "/fragments"));
  return workspace;
}

arrow::Status Workspace::Lock() {
  const std::string path = work_ + "/lock";
  while (true) {
    lock_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    // The run before may remove the folder at this very moment.
    if (lock_ < 0 && errno == ENOENT) {
      ARROW_RETURN_NOT_OK(MakeFolders(work_));
      continue;
    }
    if (lock_ < 0) return Failed("open", path, errno);
    if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return Failed("lock", path, errno);
      return Refuse(RunRefusal::kOutputBusy, "another run is writing to " + output_ +
                                                 "; wait for it or choose another OUTPUT");
    }
    // A lock on a file that is no longer there keeps nobody out.
    struct stat held, named;
    if (fstat(lock_, &held) == 0 && stat(path.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino && held.st_dev == named.st_dev) {
      return arrow::Status::OK();
    }
    close(lock_);
    lock_ = -1;
  }
}

std::string Workspace::FragmentPath(size_t index, const std::string& key) const {
  char name[64];
  std::snprintf(name, sizeof name, "/fragments/%06zu-%.16s.safetensors", index, key.c_str());
  return work_ + name;
}

std::string Workspace::RefusedErrorsPath() const { return work_ + "/errors.csv"; }

std::string Workspace::StagedFolder(const OutputFolder& folder) const {
  return work_ + "/publish/" + folder.kind + "/" + folder.name + "_" + run_id_;
}

std::string Workspace::PublishedFolder(const OutputFolder& folder) const {
  return output_ + "/" + folder.kind + "/" + folder.name + "_" + run_id_;
}

arrow::Result<std::string> Workspace::PartPath(const OutputFolder& folder, size_t part,
                                               std::string_view extension) const {
  ARROW_RETURN_NOT_OK(MakeFolders(StagedFolder(folder)));
  char name[32];
  std::snprintf(name, sizeof name, "/part-%05zu.", part);
  return StagedFolder(folder) + name + std::string(extension);
}

arrow::Result<std::shared_ptr<arrow::io::OutputStream>> Workspace::CreatePart(
    const OutputFolder& folder, size_t part, std::string_view extension) const {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PartPath(folder, part, extension));
  return OpenDurable(path);
}

arrow::Status Workspace::WritePart(const OutputFolder& folder, size_t part,
                                   std::string_view extension, std::string_view text) const {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PartPath(folder, part, extension));
  return WriteText(path, text);
}

arrow::Status Workspace::WriteText(const std::string& path, std::string_view text) const {
  ARROW_ASSIGN_OR_RAISE(auto stream, OpenDurable(path));
  ARROW_RETURN_NOT_OK(stream->Write(text.data(), static_cast<int64_t>(text.size())));
  return stream->Close();
}

arrow::Status Workspace::Publish(const std::vector<OutputFolder>& folders) {
  for (const OutputFolder& folder : folders) {
    const std::string success = StagedFolder(folder) + "/" + kSuccess;
    ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::FileOutputStream::Open(success));
    ARROW_RETURN_NOT_OK(file->Close());
    ARROW_RETURN_NOT_OK(Sync(success));
    ARROW_RETURN_NOT_OK(Sync(StagedFolder(folder)));
  }
  for (const OutputFolder& folder : folders) {
    const std::string parent = output_ + "/" + folder.kind;
    ARROW_RETURN_NOT_OK(MakeFolders(parent));
    // Left by a run of this id that died while it published; it never existed for readers.
    ARROW_RETURN_NOT_OK(RemoveAll(PublishedFolder(folder)));
    std::error_code error;
    fs::rename(StagedFolder(folder), PublishedFolder(folder), error);
    if (error) return Failed("publish", PublishedFolder(folder), error.value());
    ARROW_RETURN_NOT_OK(Sync(parent));
  }
  return RemoveAll(work_);
}

}  // namespace pomona
