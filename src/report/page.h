// Sections -> one HTML file that needs nothing else.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/status.h>

#include <string>
#include <vector>

#include "section.h"

namespace pomona {

// Writes the page: the sections one a line each, so that two pages can be compared by lines. The
// same sections give the same bytes.
//
// A policy in the page lets it run its own script and style, by their digests, and load nothing.
arrow::Status WritePage(const std::string& title, const std::vector<Section>& sections,
                        arrow::io::OutputStream* out);

// JSON that can stand in a <script>: no character of it can end one.
std::string JsonForPage(const Json& json);

// Of page.html, page.css and the scripts, as they are built in.
extern const char kPageHtml[];
extern const char kPageCss[];
extern const char kPageScript[];

}  // namespace pomona
