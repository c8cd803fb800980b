#include "stages/html/page.hpp"

#include "stages/html/text.hpp"

namespace stylescope::html {

std::string page(const std::string& title, const std::string& body) {
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  out += "<meta name=\"color-scheme\" content=\"light dark\">\n";
  // An empty icon: a browser would otherwise ask the server for one.
  out += "<link rel=\"icon\" href=\"data:,\">\n";
  out += "<title>" + escape(title) + "</title>\n<style>" + kStyle +
         "</style>\n</head>\n<body>\n<main>\n" + body;
  out += "\n</main>\n<script>" + std::string(kScript) + "</script>\n</body>\n</html>\n";
  return out;
}

std::string section(const std::string& id, const std::string& heading, const std::string& body) {
  return "<section id=\"" + escape(id) + "\" aria-labelledby=\"" + escape(id) + "-h\">\n<h2 id=\"" +
         escape(id) + "-h\">" + escape(heading) + "</h2>\n" + body + "</section>\n";
}

std::string absent(const std::string& sentence) {
  return "<p class=\"absent\">" + escape(sentence) + "</p>\n";
}

std::string figure(const std::string& image_uri, const std::string& alternative,
                   const std::string& caption, const std::string& css) {
  return "<figure class=\"" + escape(css) + "\"><img src=\"" + image_uri + "\" alt=\"" +
         escape(alternative) + "\"><figcaption>" + caption + "</figcaption></figure>\n";
}

}  // namespace stylescope::html
