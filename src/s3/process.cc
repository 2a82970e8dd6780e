#include "s3/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostBytes = size_t{1} << 20;

// With its children and theirs, as far as /proc tells of them: a shell's commands would go on, and keep
// open what we write to.
void KillAll(pid_t process) {
  std::error_code error;
  // Another namespace's /proc has other numbers.
  const auto self = std::filesystem::read_symlink("/proc/self", error);
  if (error || self != std::to_string(getpid())) {
    kill(process, SIGKILL);
    return;
  }
  // So that it starts nothing more, once it has heard of it.
  kill(process, SIGSTOP);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::filesystem::directory_iterator task("/proc/" + std::to_string(process) + "/task", error);
  for (; !error && task != end(task); task.increment(error)) {
    std::ifstream children(task->path() / "children");
    for (pid_t child; children >> child;) KillAll(child);
  }
  kill(process, SIGKILL);
}

arrow::Status TooLong() { return arrow::Status::Cancelled("it does not come to an end"); }

// Until its end, or the deadline.
arrow::Result<std::string> ReadAll(int fd, Clock::time_point deadline) {
  std::string text;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{fd, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return TooLong();
    char buffer[4096];
    const ssize_t size = ready < 0 ? -1 : read(fd, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return arrow::Status::IOError(std::strerror(errno));
    if (size == 0) return text;
    text.append(buffer, static_cast<size_t>(size));
    if (text.size() > kMostBytes) return arrow::Status::IOError("it prints without end");
  }
}

}  // namespace

arrow::Result<std::string> OutputOf(const std::string& command, std::chrono::milliseconds limit) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return arrow::Status::IOError(std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string shell = "sh", option = "-c", text = command;
  char* const arguments[] = {shell.data(), option.data(), text.data(), nullptr};
  pid_t child = 0;
  // We ignore these; a shell's pipes rely on the first.
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGXFSZ);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  const Clock::time_point deadline = Clock::now() + limit;
  arrow::Result<std::string> read =
      error == 0 ? ReadAll(ends[0], deadline)
                 : arrow::Status::IOError("cannot start a shell: ", std::strerror(error));
  close(ends[0]);
  if (error != 0) return read;
  int status = 0;
  // It may go on although it has closed its output.
  bool ended = false;
  while (read.ok() && !(ended = waitpid(child, &status, WNOHANG) != 0)) {
    if (Clock::now() >= deadline) read = TooLong();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!ended) {
    KillAll(child);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (read.ok() && WIFSIGNALED(status)) {
    return arrow::Status::IOError("it was killed by signal ", WTERMSIG(status));
  }
  if (read.ok() && WEXITSTATUS(status) != 0) {
    return arrow::Status::IOError("it failed with exit code ", WEXITSTATUS(status));
  }
  return read;
}

}  // namespace pomona
