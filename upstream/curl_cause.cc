#include "upstream/curl_cause.h"

namespace entrepot::upstream {

std::string_view curl_cause(CURLcode code, const char* text) {
  std::string_view cause = *text != '\0' ? text : curl_easy_strerror(code);
  if (cause.find("Unsupported proxy") != std::string_view::npos) return "the proxy's URL is unusable";
  return cause;
}

}  // namespace entrepot::upstream
