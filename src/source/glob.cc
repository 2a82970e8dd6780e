#include "pomona/glob.h"

#include <algorithm>
#include <utility>

#include "pomona/item.h"

namespace pomona {
namespace {

// One character of a pattern that may be escaped. Errors: Invalid where nothing follows a
// backslash.
arrow::Result<char32_t> TakeLiteral(std::string_view* text) {
  const size_t size = text->size();
  const char32_t character = TakeCharacter(text);
  if (character != '\\' || size - text->size() > 1) return character;  // \x5C is no escape
  if (text->empty()) return arrow::Status::Invalid("nothing follows the backslash at its end");
  return TakeCharacter(text);
}

}  // namespace

bool Glob::Token::Takes(char32_t character) const {
  const bool found = std::ranges::any_of(ranges, [&](const auto& range) {
    return range.first <= character && character <= range.second;
  });
  return found != negated;
}

// Of "[...]", what stands behind the first bracket.
arrow::Result<Glob::Token> Glob::ParseBracket(std::string_view* text) {
  Token token;
  token.negated = text->starts_with('!') || text->starts_with('^');
  if (token.negated) text->remove_prefix(1);
  // A bracket that closes comes after one character at least.
  while (token.ranges.empty() || !text->starts_with(']')) {
    if (text->empty()) {
      return arrow::Status::Invalid("its [ is not closed; [[] stands for the character itself");
    }
    if (text->starts_with("[:") || text->starts_with("[.") || text->starts_with("[=")) {
      return arrow::Status::Invalid("classes such as [:alpha:] are not known; use ranges");
    }
    ARROW_ASSIGN_OR_RAISE(const char32_t first, TakeLiteral(text));
    char32_t last = first;
    if (text->size() > 1 && text->front() == '-' && (*text)[1] != ']') {
      text->remove_prefix(1);
      ARROW_ASSIGN_OR_RAISE(last, TakeLiteral(text));
      if (last < first) return arrow::Status::Invalid("a range of it ends before it begins");
    }
    token.ranges.emplace_back(first, last);
  }
  text->remove_prefix(1);
  return token;
}

arrow::Result<Glob> Glob::Parse(std::string_view text) {
  Glob glob;
  glob.text_ = text;
  bool literal = true;
  while (!text.empty()) {
    Token token;
    const std::string_view before = text;
    literal = literal && std::string_view("*?[\\").find(text[0]) == std::string_view::npos;
    if (text.starts_with('*')) {
      text.remove_prefix(1);
      token.star = true;
    } else if (text.starts_with('?')) {
      text.remove_prefix(1);
      token.negated = true;  // whatever it is
    } else if (text.starts_with('[')) {
      text.remove_prefix(1);
      ARROW_ASSIGN_OR_RAISE(token, ParseBracket(&text));
    } else {
      ARROW_ASSIGN_OR_RAISE(const char32_t character, TakeLiteral(&text));
      token.ranges.emplace_back(character, character);
      if (literal) {
        glob.literal_start_ += EscapeName(before.substr(0, before.size() - text.size()));
      }
    }
    if (token.star && !glob.tokens_.empty() && glob.tokens_.back().star) continue;
    glob.tokens_.push_back(std::move(token));
  }
  return glob;
}

std::vector<size_t> Glob::After(std::string_view start) const {
  std::vector<size_t> states, next;
  // A star may be passed by. States come in ascending order, in runs without gaps.
  const auto add = [this](size_t state, std::vector<size_t>* to) {
    const size_t last = state + (state < tokens_.size() && tokens_[state].star ? 1 : 0);
    for (size_t s = state; s <= last; ++s) {
      if (to->empty() || to->back() < s) to->push_back(s);
    }
  };
  add(0, &states);
  while (!start.empty() && !states.empty()) {
    const char32_t character = TakeCharacter(&start);
    next.clear();
    for (const size_t state : states) {
      if (state == tokens_.size()) continue;
      if (tokens_[state].star) {
        add(state, &next);
      } else if (tokens_[state].Takes(character)) {
        add(state + 1, &next);
      }
    }
    states.swap(next);
  }
  return states;
}

bool Glob::Matches(std::string_view path) const {
  const std::vector<size_t> states = After(path);
  return !states.empty() && states.back() == tokens_.size();
}

bool Glob::MatchesSome(std::string_view start) const { return !After(start).empty(); }

bool Glob::MatchesAll(std::string_view start) const {
  // Only a star at the end takes whatever comes.
  if (tokens_.empty() || !tokens_.back().star) return false;
  const std::vector<size_t> states = After(start);
  return std::ranges::find(states, tokens_.size() - 1) != states.end();
}

}  // namespace pomona
