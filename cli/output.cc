#include "output.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "pomona/printable.h"

namespace pomona::cli {
namespace {

int first_error = 0;  // of standard output; glibc keeps that there was one, but not which

void Note(bool failed) {
  if (failed && first_error == 0) first_error = errno;
}

}  // namespace

void PrintExactly(std::string_view line) {
  Note(std::fwrite(line.data(), 1, line.size(), stdout) != line.size());
  Note(std::fputc('\n', stdout) == EOF);
}

void Print(std::string_view line) { PrintExactly(Printable(line)); }

void PrintError(std::string_view line) {
  std::fprintf(stderr, "pomona: %s\n", Printable(line).c_str());
}

arrow::Status FlushOutput() {
  Note(std::fflush(stdout) != 0);
  const int error = std::exchange(first_error, 0);
  if (error == 0 && !std::ferror(stdout)) return arrow::Status::OK();
  __fpurge(stdout);  // what is lost is said once
  std::clearerr(stdout);
  pollfd out = {STDOUT_FILENO, POLLOUT, 0};
  if (error == EPIPE || (poll(&out, 1, 0) > 0 && (out.revents & POLLERR))) {
    return arrow::Status::OK();
  }
  return arrow::Status::IOError("cannot write to standard output: ",
                                error ? std::strerror(error) : "what it got is cut");
}

void OpenStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest free number is this one. The wrong way round: reading from or writing to a
    // stream that is not there goes on failing.
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
      _exit(1);
    }
  }
}

}  // namespace pomona::cli
