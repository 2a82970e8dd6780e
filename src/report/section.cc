#include "section.h"

#include <utility>

namespace pomona {

Json Headline(Json value, std::string name, const char* kind) {
  return {{"value", std::move(value)}, {"name", std::move(name)}, {"kind", kind}};
}

Json Fact(std::string name, Json value, const char* kind) {
  return Headline(std::move(value), std::move(name), kind);
}

Json Facts(std::string title, Json facts) {
  return {{"block", "facts"}, {"title", std::move(title)}, {"facts", std::move(facts)}};
}

Json Table(std::string title, const std::vector<Column>& columns, Json rows, std::string more) {
  Json names = Json::array();
  for (const Column& column : columns) {
    names.push_back({{"name", column.name}, {"kind", column.kind}});
  }
  return {{"block", "table"},
          {"title", std::move(title)},
          {"columns", std::move(names)},
          {"rows", std::move(rows)},
          {"more", std::move(more)}};
}

Json Bars(std::string title, const Column& name, const Column& value, Json rows, std::string more) {
  Json bars = Table(std::move(title), {name, value}, std::move(rows), std::move(more));
  bars["block"] = "bars";
  return bars;
}

Json Note(std::string text) { return {{"block", "note"}, {"text", std::move(text)}}; }

}  // namespace pomona
