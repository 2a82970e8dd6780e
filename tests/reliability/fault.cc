// A preloaded library that stands between a program and the disk.
//
// It counts the calls that change anything below the folder $FAULT_ROOT (open with O_CREAT, write,
// fsync, rename, unlink, mkdir, rmdir) and, by the environment, acts at one of them:
//
//   FAULT_AT=N           which call, from 1
//   FAULT_ACTION=kill    SIGKILL instead of the call; `torn`: after half of a write
//               =NUMBER  the call fails with this errno, once
//               =short   a write takes half of its bytes, once
//               =hang    the call takes an hour
//   FAULT_OPENS=1        counts the calls that can fail without changing anything, too: other
//                        opens, and flock
//   FAULT_THREADS=N      no more than so many threads can be started
//   FAULT_FLOCK=NUMBER   flock always fails with this errno, as on file systems without it
//   FAULT_SYNC_FOLDER, FAULT_RENAME_FOLDER, FAULT_MAP
//                        the same of fsync of a folder, rename of one, and mmap
//   FAULT_LOG=FILE       one record for each call, with what was written; where it failed by
//                        itself, `failed` stands before it; `hangs` before it does
//
// Each record of the log is a line of words separated by tabs (call, path, further words) and, for
// a write, the bytes. Calls are made one at a time, so the log's order is theirs.
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

namespace {

template <typename Function>
Function Real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
// The function of libc that a wrapper hides.
#define REAL(name) Real<decltype(&name)>(#name)

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value ? value : "";
}

int Number(const char* name) { return std::atoi(Environment(name).c_str()); }

struct Settings {
  std::string root = Environment("FAULT_ROOT");
  long at = std::atol(Environment("FAULT_AT").c_str());
  std::string action = Environment("FAULT_ACTION");
  bool opens = !Environment("FAULT_OPENS").empty();
  std::string threads = Environment("FAULT_THREADS");
  int flock_error = Number("FAULT_FLOCK");
  int sync_folder_error = Number("FAULT_SYNC_FOLDER");
  int rename_folder_error = Number("FAULT_RENAME_FOLDER");
  int map_error = Number("FAULT_MAP");
  int log = -1;

  Settings() {
    const std::string path = Environment("FAULT_LOG");
    if (!path.empty()) {
      log = static_cast<int>(
          REAL(open)(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    }
  }
};

const Settings& settings() {
  static const Settings settings;
  return settings;
}

std::recursive_mutex mutex;
long calls = 0;

std::string PathOf(int fd) {
  char path[PATH_MAX];
  const ssize_t size = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : "";
}

std::string Resolve(int folder, const char* path) {
  return path[0] == '/' || folder == AT_FDCWD ? path : PathOf(folder) + '/' + path;
}

bool IsWatched(const std::string& path) {
  const std::string& root = settings().root;
  return !root.empty() && path.starts_with(root) &&
         (path.size() == root.size() || path[root.size()] == '/');
}

bool IsFolder(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

void Log(const std::string& line, const void* data = nullptr, size_t size = 0) {
  if (settings().log < 0) return;
  std::string record = line + '\n';
  if (data) record.append(static_cast<const char*>(data), size);
  if (REAL(write)(settings().log, record.data(), record.size()) < 0) abort();
}

// What is to become of the next call.
enum class Fate { kDone, kFails, kHalf };

Fate Decide(bool is_write) {
  if (++calls != settings().at) return Fate::kDone;
  const std::string& action = settings().action;
  if (action == "hang") {
    Log("hangs");
    sleep(3600);
    return Fate::kDone;
  }
  if ((action == "torn" || action == "short") && is_write) return Fate::kHalf;
  if (action == "kill" || action == "torn") raise(SIGKILL);
  const int error = std::atoi(action.c_str());
  if (error == 0) return Fate::kDone;
  errno = error;
  return Fate::kFails;
}

// Makes a call that names a path: `line` is its record.
template <typename Call>
int Watch(bool watched, const std::string& line, Call call) {
  if (!watched) return call();
  const std::lock_guard lock(mutex);
  if (Decide(false) == Fate::kFails) return -1;
  const int result = call();
  const int error = errno;
  Log(result >= 0 ? line : "failed\t" + line);
  errno = error;
  return result;
}

template <typename Function>
int Open(Function real, int folder, const char* name, int flags, mode_t mode) {
  const std::string path = Resolve(folder, name);
  const bool creates = (flags & O_CREAT) != 0;
  const bool counts = IsWatched(path) && (creates || settings().opens);
  const std::string what = !creates ? "look" : (flags & O_TRUNC) ? "create" : "touch";
  return Watch(counts, what + '\t' + path, [&] { return real(folder, name, flags, mode); });
}

}  // namespace

extern "C" {

#define MODE_OF(flags)                        \
  mode_t mode = 0;                            \
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
    va_list arguments;                        \
    va_start(arguments, flags);               \
    mode = va_arg(arguments, mode_t);         \
    va_end(arguments);                        \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags)
  return Open(REAL(openat), AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  MODE_OF(flags)
  return Open(REAL(openat), AT_FDCWD, path, flags, mode);
}
int openat(int folder, const char* path, int flags, ...) {
  MODE_OF(flags)
  return Open(REAL(openat), folder, path, flags, mode);
}
int openat64(int folder, const char* path, int flags, ...) {
  MODE_OF(flags)
  return Open(REAL(openat), folder, path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  static const auto real = REAL(write);
  const std::string path = fd > 2 ? PathOf(fd) : "";
  if (!IsWatched(path)) return real(fd, data, size);
  const std::lock_guard lock(mutex);
  const Fate fate = Decide(true);
  if (fate == Fate::kFails) return -1;
  const off_t offset = lseek(fd, 0, SEEK_CUR);
  const ssize_t done = real(fd, data, fate == Fate::kHalf ? (size + 1) / 2 : size);
  if (done < 0) return done;
  if (fate == Fate::kHalf && settings().action == "torn") raise(SIGKILL);
  Log("write\t" + path + '\t' + std::to_string(offset) + '\t' + std::to_string(done), data,
      static_cast<size_t>(done));
  return done;
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                   void* argument) {
  static const auto real = REAL(pthread_create);
  static std::atomic<int> started = 0;
  const std::string& most = settings().threads;
  if (!most.empty() && started++ >= std::atoi(most.c_str())) return EAGAIN;
  return real(thread, attributes, run, argument);
}

int fsync(int fd) {
  static const auto real = REAL(fsync);
  const std::string path = PathOf(fd);
  if (IsWatched(path) && settings().sync_folder_error != 0 && IsFolder(path)) {
    errno = settings().sync_folder_error;
    return -1;
  }
  return Watch(IsWatched(path), "fsync\t" + path, [&] { return real(fd); });
}

int rename(const char* from, const char* to) {
  static const auto real = REAL(rename);
  if (IsWatched(to) && settings().rename_folder_error != 0 && IsFolder(from)) {
    errno = settings().rename_folder_error;
    return -1;
  }
  return Watch(IsWatched(to), std::string("rename\t") + from + '\t' + to,
               [&] { return real(from, to); });
}

int unlink(const char* path) {
  static const auto real = REAL(unlink);
  return Watch(IsWatched(path), std::string("unlink\t") + path, [&] { return real(path); });
}

int rmdir(const char* path) {
  static const auto real = REAL(rmdir);
  return Watch(IsWatched(path), std::string("rmdir\t") + path, [&] { return real(path); });
}

int unlinkat(int folder, const char* name, int flags) {
  static const auto real = REAL(unlinkat);
  const std::string path = Resolve(folder, name);
  const std::string what = (flags & AT_REMOVEDIR) ? "rmdir\t" : "unlink\t";
  return Watch(IsWatched(path), what + path, [&] { return real(folder, name, flags); });
}

int mkdir(const char* path, mode_t mode) {
  static const auto real = REAL(mkdir);
  return Watch(IsWatched(path), std::string("mkdir\t") + path, [&] { return real(path, mode); });
}

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  static const auto real = REAL(mmap);
  if (fd >= 0 && settings().map_error != 0 && IsWatched(PathOf(fd))) {
    errno = settings().map_error;
    return MAP_FAILED;
  }
  return real(address, size, protection, flags, fd, offset);
}
void* mmap64(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  return mmap(address, size, protection, flags, fd, offset);
}

int flock(int fd, int operation) {
  static const auto real = REAL(flock);
  const std::string path = PathOf(fd);
  if (!IsWatched(path)) return real(fd, operation);
  if (settings().flock_error != 0) {
    errno = settings().flock_error;
    return -1;
  }
  return Watch(settings().opens, "flock\t" + path, [&] { return real(fd, operation); });
}

}  // extern "C"
