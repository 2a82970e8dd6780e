// JSON as the library reads and writes it, by nlohmann's.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace pomona {

// Discarded where the text is no JSON.
nlohmann::json ParseJson(std::string_view text);

// On one line, or on many with so many spaces. What is not UTF-8 in it is replaced.
std::string JsonText(const nlohmann::json& value, int indent = -1);
std::string JsonText(const nlohmann::ordered_json& value, int indent = -1);

// The string of this name in an object; "" where there is none.
std::string JsonString(const nlohmann::json& object, const char* name);

}  // namespace pomona
