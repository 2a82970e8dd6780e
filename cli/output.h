// What the program prints: one place that knows whether it arrived, and that lets no foreign name
// command a terminal.
#pragma once

#include <arrow/status.h>

#include <string>
#include <string_view>

namespace pomona::cli {

// A line on standard output, Printable().
void Print(std::string_view line);

// The same, byte for byte: for lines that programs read.
void PrintExactly(std::string_view line);

// "pomona: " and the line on standard error, which is not checked.
void PrintError(std::string_view line);

// Whether everything printed since the last call has arrived. A reader of a pipe that left wanted
// no more.
// Errors: IOError.
arrow::Status FlushOutput();

// Opens /dev/null for each of the descriptors 0, 1 and 2 that is closed, so that no file that is
// opened later becomes a standard stream, and the lines for it part of that file's content.
// What is printed into one of them still fails.
void OpenStandardStreams();

}  // namespace pomona::cli
