#pragma once

#include <string>

namespace stylescope::html {

// A whole page: body within <main>, the style sheet and the script of the sliders inside it, no
// reference to anything outside. `title` is escaped here, `body` is HTML.
std::string page(const std::string& title, const std::string& body);

// Parts of a page; `heading` is escaped, `body` is HTML.
std::string section(const std::string& id, const std::string& heading, const std::string& body);
std::string absent(const std::string& sentence);
std::string figure(const std::string& image_uri, const std::string& alternative,
                   const std::string& caption, const std::string& css = "");

// The style sheet and the script (page_style.cpp, page_script.cpp).
extern const char* const kStyle;
extern const char* const kScript;

}  // namespace stylescope::html
