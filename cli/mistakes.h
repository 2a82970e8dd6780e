// What a command line that cannot be understood probably meant.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace pomona::cli {

// What main.cc prints of a command line with an error in it: the mistake, the cure where there is
// one, and whose --help tells more.
std::string ExplainMistake(const CLI::App* root, const CLI::Error& error);

}  // namespace pomona::cli
