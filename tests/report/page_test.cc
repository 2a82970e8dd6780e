#include "report/page.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>

#include <regex>

namespace pomona {
namespace {

std::string PageOf(const std::vector<Section>& sections) {
  const auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
  EXPECT_TRUE(WritePage("Run r", sections, out.get()).ok());
  return out->Finish().ValueOrDie()->ToString();
}

size_t Count(const std::string& text, const std::string& word) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(word, at)) != text.npos; at += word.size()) ++count;
  return count;
}

TEST(Page, NoTextEndsAScript) {
  const Section plain{.id = "a", .title = "A", .blocks = {Note("x")}};
  const Section hostile{.id = "a",
                        .title = "</script><script>alert(1)</script>",
                        .intro = "<!--<script>",
                        .blocks = {Note("</SCRIPT >")}};
  const std::string page = PageOf({hostile});
  EXPECT_EQ(Count(page, "</script"), Count(PageOf({plain}), "</script"));
  EXPECT_EQ(Count(page, "<script"), Count(PageOf({plain}), "<script"));
  EXPECT_EQ(Count(page, "<!--"), 0u);
  EXPECT_NE(page.find("\\u003c/SCRIPT >"), page.npos);
  EXPECT_NE(page.find("\\u003c!--\\u003cscript>"), page.npos);
}

TEST(Page, WhatIsNoUtf8IsReplaced) {
  const std::string page = PageOf({{.id = "a", .title = "A", .intro = "caf\xE9"}});
  EXPECT_NE(page.find("caf\xEF\xBF\xBD"), page.npos);
}

TEST(Page, SectionsAreLinesAndTheirArraysFollow) {
  const std::string page = PageOf({{.id = "a", .title = "A", .arrays = {{"numbers", {1, 2, 3, 4}}}},
                                   {.id = "b", .title = "B"}});
  EXPECT_NE(page.find("\n<script type=\"application/base64\" id=\"numbers\">AQIDBA==</script>\n"
                      "<script type=\"application/json\" class=\"section\" id=\"data-b\">{"),
            page.npos);
}

TEST(Page, LoadsNothing) {
  const std::string page = PageOf({});
  EXPECT_TRUE(std::regex_search(
      page, std::regex("content=\"default-src 'none'; script-src 'sha256-[A-Za-z0-9+/]{43}='; "
                       "style-src 'sha256-[A-Za-z0-9+/]{43}='; img-src data:; base-uri 'none'; "
                       "form-action 'none'\"")));
  EXPECT_EQ(page.find("https:"), page.npos);
  EXPECT_EQ(page.find("src="), page.npos);
  EXPECT_EQ(page.find(" style="), page.npos);
  EXPECT_EQ(page.find("innerHTML"), page.npos);
  EXPECT_EQ(page.find("{{"), page.npos);
}

}  // namespace
}  // namespace pomona
