#include "output.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "pomona/printable.h"

namespace pomona::cli {
namespace {

using nlohmann::ordered_json;

int first_error = 0;  // of standard output; glibc keeps that there was one, but not which

std::atomic<bool> logs_json = false;
static_assert(std::atomic<bool>::is_always_lock_free, "read by a signal handler");

void Note(bool failed) {
  if (failed && first_error == 0) first_error = errno;
}

// "2026-11-28T19:50:12.042Z", by nothing that a signal handler may not call.
struct TimeText {
  char text[25] = "0000-00-00T00:00:00.000Z";

  TimeText() {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    const std::chrono::sys_seconds time{std::chrono::seconds(now.tv_sec)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    Put(0, 4, static_cast<int>(date.year()));
    Put(5, 2, static_cast<unsigned>(date.month()));
    Put(8, 2, static_cast<unsigned>(date.day()));
    Put(11, 2, clock.hours().count());
    Put(14, 2, clock.minutes().count());
    Put(17, 2, clock.seconds().count());
    Put(20, 3, now.tv_nsec / 1'000'000);
  }

 private:
  void Put(int at, int digits, int64_t number) {
    for (int i = at + digits - 1; i >= at; --i, number /= 10) {
      text[i] = static_cast<char>('0' + number % 10);
    }
  }
};

// Without `pomona: `. All that is not ASCII is escaped, so that nothing commands a terminal.
void PrintJson(const char* level, std::string_view line, const ordered_json& numbers) {
  ordered_json json = {{"time", TimeText().text}, {"level", level}, {"message", line}};
  json.update(numbers);
  std::fprintf(stderr, "%s\n",
               json.dump(-1, ' ', true, ordered_json::error_handler_t::replace).c_str());
}

void PrintDiagnostic(const char* level, std::string_view line) {
  if (logs_json) return PrintJson(level, line, ordered_json::object());
  std::fprintf(stderr, "pomona: %s\n", Printable(line).c_str());
}

}  // namespace

void PrintExactly(std::string_view line) {
  Note(std::fwrite(line.data(), 1, line.size(), stdout) != line.size());
  Note(std::fputc('\n', stdout) == EOF);
}

void PrintJsonLine(const ordered_json& json) {
  PrintExactly(json.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

void Print(std::string_view line) { PrintExactly(Printable(line)); }

arrow::Result<LogFormat> ParseLogFormat(std::string_view text) {
  if (text == "text") return LogFormat::kText;
  if (text == "json") return LogFormat::kJson;
  return arrow::Status::Invalid("log-format '", text, "': expected text or json");
}

void SetLogFormat(LogFormat format) { logs_json = format == LogFormat::kJson; }
bool LogsJson() { return logs_json; }

void PrintError(std::string_view line) { PrintDiagnostic("error", line); }
void PrintWarning(std::string_view line) { PrintDiagnostic("warning", line); }

void PrintInfo(std::string_view line, const ordered_json& numbers) {
  if (logs_json) return PrintJson("info", line, numbers);
  std::fprintf(stderr, "%s\n", Printable(line).c_str());
}

void PrintInterrupted() {
  const auto put = [](std::string_view text) {
    [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, text.data(), text.size());
  };
  if (!logs_json) return put("pomona: interrupted\n");
  put("{\"time\":\"");
  put(TimeText().text);
  put("\",\"level\":\"error\",\"message\":\"interrupted\"}\n");
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
