// What the program prints: one place that knows whether it arrived, how lines on standard error
// look, and that lets no foreign name command a terminal.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace pomona::cli {

// A line on standard output, Printable().
void Print(std::string_view line);

// The same, byte for byte: for lines that programs read.
void PrintExactly(std::string_view line);

// A line of JSON, in which bytes that are no UTF-8 are replaced.
void PrintJsonLine(const nlohmann::ordered_json& json);

// Lines on standard error: text for people, or for log collectors a JSON object each, with time,
// level and message.
enum class LogFormat { kText, kJson };

// Errors: Invalid lists what is allowed.
arrow::Result<LogFormat> ParseLogFormat(std::string_view text);

// How all lines look from now on.
void SetLogFormat(LogFormat format);
bool LogsJson();

// "pomona: " and the line on standard error, which is not checked: what failed, and what the user
// should know.
void PrintError(std::string_view line);
void PrintWarning(std::string_view line);

// What is as it should be: the line alone. `numbers`: an object whose members JSON has besides.
void PrintInfo(std::string_view line, const nlohmann::ordered_json& numbers);

// That the program was interrupted, for a signal handler.
void PrintInterrupted();

// Whether everything printed since the last call has arrived. A reader of a pipe that left wanted
// no more.
// Errors: IOError.
arrow::Status FlushOutput();

// Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed, so that no file that is
// opened later becomes a standard stream, and the lines for it part of that file's content.
// What is printed into one of them still fails.
void OpenStandardStreams();

}  // namespace pomona::cli
