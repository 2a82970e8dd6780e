#include "output.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "pomona/item.h"

namespace pomona::cli {
namespace {

int first_error = 0;  // of standard output; glibc keeps that there was one, but not which

void Note(bool failed) {
  if (failed && first_error == 0) first_error = errno;
}

// Whether the character of UTF-8 that `text` starts with is one that Printable() replaces.
bool Commands(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(character[i]); };
  if (character.size() == 1) return byte(0) < ' ' || byte(0) == 0x7F;
  if (character.size() == 2) return byte(0) == 0xC2 && byte(1) < 0xA0;
  if (character.size() != 3 || byte(0) != 0xE2) return false;
  // U+2028 to U+202E: line and paragraph separators, embeddings and overrides; U+2066 to U+2069:
  // isolates.
  return (byte(1) == 0x80 && byte(2) >= 0xA8 && byte(2) <= 0xAE) ||
         (byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9);
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const std::string_view character = text.substr(0, std::max<size_t>(length, 1));
    if (length == 0 || Commands(character)) {
      printable += '?';
    } else {
      printable += character;
    }
    text.remove_prefix(character.size());
  }
  return printable;
}

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
