// The patterns of --include and --exclude.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pomona {

// A pattern that a whole path either matches or not:
//   *            any characters or none, slashes among them
//   ?            one character
//   [a-z_]       one of these
//   [!a-z_]      one that is none of these
//   \*           the character itself
// All else stands for itself; case counts. Characters are those of UTF-8, and a byte that is part
// of none counts as one. Paths are given as the outputs have them (EscapeName()); the pattern may
// hold such a byte as it is or escaped.
class Glob {
 public:
  // Errors: Invalid, which says what is wrong with the pattern.
  static arrow::Result<Glob> Parse(std::string_view text);

  bool Matches(std::string_view path) const;

  // Whether one path that begins so may match, or every one will because of a star at the end.
  bool MatchesSome(std::string_view start) const;
  bool MatchesAll(std::string_view start) const;

  // What every path that matches begins with.
  const std::string& literal_start() const { return literal_start_; }

  const std::string& text() const { return text_; }

 private:
  // What one or, for a star, any number of characters of the path may be.
  struct Token {
    bool star = false;
    bool negated = false;  // the ranges are those that it may not be
    std::vector<std::pair<char32_t, char32_t>> ranges;

    bool Takes(char32_t character) const;
  };

  static arrow::Result<Token> ParseBracket(std::string_view* text);

  // The tokens that may come next, by index, ascending; the number of tokens where none need to.
  std::vector<size_t> After(std::string_view start) const;

  std::string text_;
  std::string literal_start_;
  std::vector<Token> tokens_;  // no two stars in a row
};

}  // namespace pomona
