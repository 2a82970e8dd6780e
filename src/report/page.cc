#include "page.h"

#include <nettle/sha2.h>

#include <algorithm>
#include <string_view>

#include "base64.h"
#include "json.h"

namespace pomona {
namespace {

arrow::Status Put(std::string_view text, arrow::io::OutputStream* out) {
  return out->Write(text.data(), static_cast<int64_t>(text.size()));
}

// As a policy names what it allows.
std::string Digest(std::string_view text) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, text.size(), reinterpret_cast<const uint8_t*>(text.data()));
  uint8_t digest[SHA256_DIGEST_SIZE];
  sha256_digest(&context, sizeof digest, digest);
  return "'sha256-" + Base64(digest) + "'";
}

std::string Policy() {
  return "default-src 'none'; script-src " + Digest(kPageScript) + "; style-src " +
         Digest(kPageCss) + "; img-src data:; base-uri 'none'; form-action 'none'";
}

arrow::Status PutSection(const Section& section, arrow::io::OutputStream* out) {
  const Json json = {{"id", section.id},
                     {"title", section.title},
                     {"intro", section.intro},
                     {"headlines", section.headlines},
                     {"blocks", section.blocks}};
  ARROW_RETURN_NOT_OK(Put("<script type=\"application/json\" class=\"section\" id=\"data-" +
                              section.id + "\">" + JsonForPage(json) + "</script>\n",
                          out));
  for (const Section::Array& array : section.arrays) {
    ARROW_RETURN_NOT_OK(Put("<script type=\"application/base64\" id=\"" + array.name + "\">", out));
    constexpr size_t kPiece = size_t{3} << 16;
    std::string text;
    for (size_t at = 0; at < array.bytes.size(); at += kPiece) {
      text.clear();
      const size_t size = std::min(kPiece, array.bytes.size() - at);
      AppendBase64(std::span(array.bytes).subspan(at, size), &text);
      ARROW_RETURN_NOT_OK(Put(text, out));
    }
    ARROW_RETURN_NOT_OK(Put("</script>\n", out));
  }
  return arrow::Status::OK();
}

}  // namespace

std::string JsonForPage(const Json& json) {
  const std::string text = JsonText(json);
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {  // it can only stand in a string
      escaped += "\\u003c";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

arrow::Status WritePage(const std::string& title, const std::vector<Section>& sections,
                        arrow::io::OutputStream* out) {
  std::string_view html = kPageHtml;
  while (!html.empty()) {
    // What stands in {{double braces}} is put in.
    const size_t open = std::min(html.find("{{"), html.size());
    ARROW_RETURN_NOT_OK(Put(html.substr(0, open), out));
    if (open == html.size()) break;
    const size_t close = html.find("}}");
    const std::string_view name = html.substr(open + 2, close - open - 2);
    html.remove_prefix(close + 2);
    if (name == "title") ARROW_RETURN_NOT_OK(Put(title, out));
    if (name == "policy") ARROW_RETURN_NOT_OK(Put(Policy(), out));
    if (name == "style") ARROW_RETURN_NOT_OK(Put(kPageCss, out));
    if (name == "script") ARROW_RETURN_NOT_OK(Put(kPageScript, out));
    if (name != "data") continue;
    for (const Section& section : sections) ARROW_RETURN_NOT_OK(PutSection(section, out));
  }
  return arrow::Status::OK();
}

}  // namespace pomona
