#include "child.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <string>

namespace pomona {
namespace {

// Bounds what this process may still allocate, where the kernel tells what it has.
void LimitMemory(size_t more_bytes) {
  rlim_t pages[6] = {};  // in all, resident, shared, code, nothing, data
  std::ifstream statm("/proc/self/statm");
  for (rlim_t& number : pages) statm >> number;
  if (!statm) return;
  const rlim_t bytes = pages[5] * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + more_bytes;
  const rlimit memory = {bytes, bytes};
  setrlimit(RLIMIT_DATA, &memory);
}

// The child's side of the pipe: the status as its code, one byte, and its message.
[[noreturn]] void Work(const std::function<arrow::Status()>& work, const ChildLimits& limits,
                       int pipe) {
  // Where the host process has its standard error closed, the pipe may have got its number.
  if (pipe <= STDERR_FILENO) pipe = fcntl(pipe, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDERR_FILENO);  // for the last words of a process that dies
  const auto cpu = static_cast<rlim_t>(limits.seconds);
  const rlimit no_core = {0, 0}, seconds = {cpu, cpu + 1};  // a signal of its own, then SIGKILL
  setrlimit(RLIMIT_CORE, &no_core);
  setrlimit(RLIMIT_CPU, &seconds);
  LimitMemory(limits.more_bytes);
  arrow::Status status;
  try {
    status = work();
  } catch (const std::exception& error) {  // no memory, or no room for what the file asks for
    status = arrow::Status::OutOfMemory("reading it takes too much memory (", error.what(), ")");
  }
  const std::string text = static_cast<char>(status.code()) + status.message();
  for (size_t sent = 0; sent < text.size();) {
    const ssize_t written = write(pipe, text.data() + sent, text.size() - sent);
    if (written < 0 && errno != EINTR) break;
    if (written > 0) sent += static_cast<size_t>(written);
  }
  _exit(0);
}

arrow::Status SystemError(const char* what) {
  return arrow::Status::IOError(what, ": ", std::strerror(errno));
}

}  // namespace

arrow::Status InChild(const std::function<arrow::Status()>& work, const ChildLimits& limits) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError("cannot make a pipe");
  const pid_t child = fork();
  if (child == 0) Work(work, limits, ends[1]);
  const int fork_error = errno;
  close(ends[1]);
  if (child < 0) {
    close(ends[0]);
    errno = fork_error;
    return SystemError("cannot start a process");
  }
  std::string text;
  char buffer[4096];
  ssize_t count;
  while ((count = read(ends[0], buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0) text.append(buffer, static_cast<size_t>(count));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) {
    return arrow::Status::Invalid("reading it ends in a crash (", strsignal(WTERMSIG(status)), ")");
  }
  if (text.empty()) return arrow::Status::Invalid("reading it ends in a crash");
  const auto code = static_cast<arrow::StatusCode>(text[0]);
  return code == arrow::StatusCode::OK ? arrow::Status::OK() : arrow::Status(code, text.substr(1));
}

}  // namespace pomona
