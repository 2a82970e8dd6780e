// What a page is made of.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "packed.h"

namespace pomona {

using Json = nlohmann::ordered_json;

// One section of a page: a heading and blocks below it, each of a kind that blocks.js draws. What
// has only the blocks below needs no script of its own.
//
// All text in it may be anybody's; the page shows it as text, whatever it says.
struct Section {
  std::string id;          // of letters and dashes, unique in its page
  std::string title;       // its heading
  std::string intro = {};  // a sentence or two

  // What is said of it at the top of the page: {"value", "name"} each, and maybe "kind".
  Json headlines = Json::array();
  Json blocks = Json::array();

  // Larger data, which blocks name by {"array": name} beside how to read them.
  struct Array {
    std::string name;  // unique in its page
    Bytes bytes;
  };
  std::vector<Array> arrays = {};
};

// How a value is written: as it is, with its thousands apart, as a share (1 is 100 %), ...
inline constexpr const char* kText = "text";
inline constexpr const char* kCount = "count";
inline constexpr const char* kShare = "share";
inline constexpr const char* kSeconds = "seconds";
inline constexpr const char* kBytes = "bytes";
inline constexpr const char* kPicture = "picture";  // a JPEG in base64, null where there is none

struct Column {
  std::string name;
  const char* kind = kText;
};

Json Headline(Json value, std::string name, const char* kind = kText);

// Names and values, in pairs.
Json Facts(std::string title, Json facts);
Json Fact(std::string name, Json value, const char* kind = kText);

// `more`: a sentence about the rows that are left out; empty: there are none.
Json Table(std::string title, const std::vector<Column>& columns, Json rows, std::string more);

// Bars beside names, and as the table that they are drawn from; rows: [name, value] each.
Json Bars(std::string title, const Column& name, const Column& value, Json rows, std::string more);

// A sentence.
Json Note(std::string text);

}  // namespace pomona
