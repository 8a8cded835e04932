#include "tests/support/scripted_upstream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace entrepot::testing {
namespace {

constexpr const char* kPython = "/usr/bin/python3";
constexpr const char* kProgram = ENTREPOT_SCRIPTED_UPSTREAM;
constexpr int kDeadlineSeconds = 60;  // for one read: longer than the upstream's own patience

[[noreturn]] void give_up(std::string_view what) {
  std::fprintf(stderr, "scripted upstream: %.*s (%s)\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::abort();
}

void expect(bool is_good, std::string_view what) {
  if (!is_good) give_up(what);
}

struct Pipe {
  std::array<int, 2> ends{-1, -1};
  Pipe() { expect(::pipe2(ends.data(), O_CLOEXEC) == 0, "pipe"); }
  int reader() const { return ends[0]; }
  int writer() const { return ends[1]; }
};

// Both pipes close on exec, so that the child ends when we do, also when we are killed.
pid_t start(const Pipe& input, const Pipe& output) {
  posix_spawn_file_actions_t actions;
  expect(::posix_spawn_file_actions_init(&actions) == 0, "spawn");
  ::posix_spawn_file_actions_adddup2(&actions, input.reader(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.writer(), STDOUT_FILENO);
  std::array<char*, 3> arguments{const_cast<char*>(kPython), const_cast<char*>(kProgram), nullptr};
  pid_t child = -1;
  errno = ::posix_spawn(&child, kPython, &actions, nullptr, arguments.data(), environ);
  expect(errno == 0, "could not start python3");
  ::posix_spawn_file_actions_destroy(&actions);
  return child;
}

std::string read_line(int fd) {
  std::string line;
  char character = 0;
  while (::read(fd, &character, 1) == 1 && character != '\n') line += character;
  return line;
}

nlohmann::json parse(std::string_view text) {
  nlohmann::json value = nlohmann::json::parse(text, nullptr, false);
  expect(!value.is_discarded(), "not JSON: " + std::string(text));
  return value;
}

int connect_to(uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{.tv_sec = kDeadlineSeconds, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  expect(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "connect");
  return fd;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// For a query: of what we send there, only these mean something else.
std::string escaped(std::string_view text) {
  std::string result;
  for (char character : text) {
    if (character == '+')
      result += "%2B";
    else if (character == '&')
      result += "%26";
    else if (character == '%')
      result += "%25";
    else
      result += character;
  }
  return result;
}

}  // namespace

std::string ScriptedUpstream::Seen::header(const std::string& name) const {
  auto found = headers.find(lower(name));
  return found == headers.end() ? "" : found->second;
}

ScriptedUpstream::ScriptedUpstream() {
  Pipe input;
  Pipe output;
  child_ = start(input, output);
  ::close(input.reader());
  ::close(output.writer());
  stdin_ = input.writer();
  std::string line = read_line(output.reader());
  ::close(output.reader());
  port_ = parse(line).at("port").get<uint16_t>();
}

ScriptedUpstream::~ScriptedUpstream() {
  ::close(stdin_);
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) continue;
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it did not end well");
}

std::string ScriptedUpstream::add(std::string_view bytes, std::string_view media_type) {
  std::string said = control("POST", "blobs?media_type=" + escaped(media_type), bytes);
  return parse(said).at("digest").get<std::string>();
}

std::string ScriptedUpstream::make(uint64_t size, uint64_t seed) {
  std::string said = control("POST", "blobs?size=" + std::to_string(size) + "&seed=" + std::to_string(seed));
  return parse(said).at("digest").get<std::string>();
}

void ScriptedUpstream::tag(std::string_view repository, std::string_view tag, std::string_view digest) {
  nlohmann::json body{{"repository", repository}, {"tag", tag}, {"digest", digest}};
  control("POST", "tags", body.dump());
}

void ScriptedUpstream::on(std::string_view rule) { control("POST", "rules", rule); }

void ScriptedUpstream::behave() { control("DELETE", "rules"); }

void ScriptedUpstream::open_gate(std::string_view name) { control("POST", "gates/" + std::string(name)); }

std::vector<ScriptedUpstream::Seen> ScriptedUpstream::seen(std::string_view method,
                                                           std::string_view containing) const {
  std::string path = "seen?containing=" + escaped(containing);
  if (!method.empty()) path += "&method=" + escaped(method);
  std::vector<Seen> all;
  for (const nlohmann::json& told : parse(control("GET", path))) {
    Seen& one = all.emplace_back();
    one.method = told.at("method");
    one.target = told.at("target");
    one.connection = told.at("connection");
    one.status = told.at("status");
    one.sent = told.at("sent");
    one.is_ended = told.at("ended");
    for (const nlohmann::json& header : told.at("headers")) one.headers[lower(header.at(0))] = header.at(1);
  }
  return all;
}

void ScriptedUpstream::forget() { control("DELETE", "seen"); }

ScriptedUpstream::Reply ScriptedUpstream::request(std::string_view method, std::string_view target,
                                                  std::string_view body, std::string_view headers) const {
  std::string text = std::string(method) + ' ' + std::string(target) + " HTTP/1.1\r\nHost: " + authority() +
                     "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                     std::string(headers) + "\r\n" + std::string(body);
  int fd = connect_to(port_);
  for (std::string_view rest = text; !rest.empty();) {
    ssize_t count = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    expect(count > 0, "send");
    rest.remove_prefix(static_cast<size_t>(count));
  }
  std::string received;
  std::array<char, 65536> buffer;
  ssize_t count = 0;
  while ((count = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0)
    received.append(buffer.data(), static_cast<size_t>(count));
  // A reset is an end too: the quirks make them. A time-out is not.
  expect(count == 0 || errno == ECONNRESET, "recv");
  ::close(fd);
  Reply reply;
  size_t end = received.find("\r\n\r\n");
  if (end == std::string::npos) return reply;
  reply.head = received.substr(0, end + 2);
  reply.body = received.substr(end + 4);
  reply.status = std::atoi(reply.head.c_str() + reply.head.find(' '));
  return reply;
}

std::string ScriptedUpstream::control(std::string_view method, std::string_view path,
                                      std::string_view body) const {
  Reply reply = request(method, "/-/" + std::string(path), body);
  expect(reply.status == 200, std::string(method) + " /-/" + std::string(path) + ": " + reply.body);
  return reply.body;
}

}  // namespace entrepot::testing
