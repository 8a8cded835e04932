#include "proxy/http/parser.h"

#include <llhttp.h>

#include <optional>

#include "proxy/http/request_rules.h"
#include "proxy/http/version.h"

namespace entrepot::http {
namespace {

constexpr size_t kMaxSpareFields = 256;
constexpr size_t kMaxSpareBytes = 1024;

// What llhttp's callbacks write to, while it goes over one head.
struct Reading {
  Request& request;
  FieldPool& pool;
  bool is_name_complete = true;  // the next fragment of a name begins a field
  bool has_headers = false;
};

Reading& reading_of(llhttp_t* machine) { return *static_cast<Reading*>(machine->data); }

int on_target(llhttp_t* machine, const char* at, size_t length) {
  reading_of(machine).request.target.append(at, length);
  return 0;
}

int on_method(llhttp_t* machine, const char* at, size_t length) {
  reading_of(machine).request.method_name.append(at, length);
  return 0;
}

int on_name(llhttp_t* machine, const char* at, size_t length) {
  Reading& reading = reading_of(machine);
  if (reading.is_name_complete) reading.pool.add_to(reading.request.headers);
  reading.is_name_complete = false;
  reading.request.headers.back().first.append(at, length);
  return 0;
}

int on_name_complete(llhttp_t* machine) {
  reading_of(machine).is_name_complete = true;
  return 0;
}

int on_value(llhttp_t* machine, const char* at, size_t length) {
  Reading& reading = reading_of(machine);
  if (reading.request.headers.empty()) return -1;
  reading.request.headers.back().second.append(at, length);
  return 0;
}

int on_value_complete(llhttp_t* machine) {
  Reading& reading = reading_of(machine);
  if (reading.request.headers.empty()) return -1;
  std::string& value = reading.request.headers.back().second;
  value.erase(value.find_last_not_of(" \t") + 1);  // npos + 1 is 0
  return 0;
}

int on_headers_complete(llhttp_t* machine) {
  reading_of(machine).has_headers = true;
  return 0;
}

int on_message_complete(llhttp_t*) { return HPE_PAUSED; }

constexpr llhttp_settings_t make_settings() {
  llhttp_settings_t settings{};
  settings.on_url = on_target;
  settings.on_method = on_method;
  settings.on_header_field = on_name;
  settings.on_header_field_complete = on_name_complete;
  settings.on_header_value = on_value;
  settings.on_header_value_complete = on_value_complete;
  settings.on_headers_complete = on_headers_complete;
  settings.on_message_complete = on_message_complete;
  return settings;
}
constexpr llhttp_settings_t kSettings = make_settings();

Method method_of(uint8_t method) {
  switch (method) {
    case HTTP_GET:
      return Method::get;
    case HTTP_HEAD:
      return Method::head;
    case HTTP_POST:
      return Method::post;
    case HTTP_PUT:
      return Method::put;
    case HTTP_PATCH:
      return Method::patch;
    case HTTP_DELETE:
      return Method::del;
    case HTTP_OPTIONS:
      return Method::options;
    default:
      return Method::other;
  }
}

std::optional<Refusal> take_apart(std::string_view head, Request& request, FieldPool& pool) {
  Reading reading{request, pool};
  llhttp_t machine;
  llhttp_init(&machine, HTTP_REQUEST, &kSettings);
  machine.data = &reading;
  llhttp_errno error = llhttp_execute(&machine, head.data(), head.size());
  if (error == HPE_INVALID_METHOD) return Refusal{501, "the method is not known"};
  // Without a body it stops at the end of the message, with one it has taken the whole head and waits for
  // more.
  bool is_at_end = error == HPE_OK || ((error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE) &&
                                       llhttp_get_error_pos(&machine) == head.data() + head.size());
  if (!is_at_end || !reading.has_headers) return Refusal{400, "not a valid HTTP request"};
  request.method = method_of(machine.method);
  request.minor_version = machine.http_minor;
  return std::nullopt;
}

void split_target(Request& request) {
  std::string_view target = request.target;
  size_t question = target.find('?');
  request.path = target.substr(0, question);
  request.query = question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
}

}  // namespace

void FieldPool::take_back(std::vector<Field>& fields) {
  for (Field& field : fields) {
    if (spare_.size() >= kMaxSpareFields) break;
    if (field.first.capacity() + field.second.capacity() <= kMaxSpareBytes)
      spare_.push_back(std::move(field));
  }
  fields.clear();
}

FieldPool::Field& FieldPool::add_to(std::vector<Field>& fields) {
  if (spare_.empty()) return fields.emplace_back();
  Field& field = fields.emplace_back(std::move(spare_.back()));
  spare_.pop_back();
  field.first.clear();
  field.second.clear();
  return field;
}

Parser::Verdict Parser::parse(std::string_view bytes, Request& request) {
  switch (scanner_.scan(bytes)) {
    case HeadScanner::Verdict::need_more:
      return Verdict::need_more;
    case HeadScanner::Verdict::failed:
      refusal_ = scanner_.refusal();
      return Verdict::failed;
    case HeadScanner::Verdict::complete:
      break;
  }
  pool_.take_back(request.headers);
  request.target.clear();
  request.method_name.clear();
  std::string_view head = bytes.substr(scanner_.head_begin(), scanner_.head_end() - scanner_.head_begin());
  std::optional<Refusal> refusal = take_apart(head, request, pool_);
  if (!refusal) refusal = apply_request_rules(request);
  if (refusal) {
    refusal_ = *refusal;
    return Verdict::failed;
  }
  split_target(request);
  return Verdict::complete;
}

std::string library_version() {
  return "llhttp " + std::to_string(LLHTTP_VERSION_MAJOR) + '.' + std::to_string(LLHTTP_VERSION_MINOR) + '.' +
         std::to_string(LLHTTP_VERSION_PATCH);
}

}  // namespace entrepot::http
