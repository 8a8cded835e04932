#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::testing {

/// The integration tests' scripted upstream (tests/integration/scripted_upstream.py) for unit tests: a
/// registry that speaks raw bytes, misbehaves as it is told, and records what it was asked. A child process,
/// which lives as long as this object. All calls block, and end the test program with a message when
/// something is wrong with them. For the thread of the test.
class ScriptedUpstream {
 public:
  struct Seen {
    std::string method;
    std::string target;
    std::map<std::string, std::string> headers;  // names in lower case
    uint64_t connection = 0;                     // which one it came on, counted from 1
    int status = 0;                              // 0: it got no answer
    uint64_t sent = 0;                           // bytes of body
    bool is_ended = false;

    std::string header(const std::string& name) const;
  };

  ScriptedUpstream();
  ~ScriptedUpstream();
  ScriptedUpstream(const ScriptedUpstream&) = delete;
  ScriptedUpstream& operator=(const ScriptedUpstream&) = delete;

  uint16_t port() const { return port_; }
  std::string authority() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string url() const { return "http://" + authority(); }

  /// A blob or manifest that every repository has. Gives its digest.
  std::string add(std::string_view bytes, std::string_view media_type = "application/octet-stream");
  /// One of that size made out of nothing, incompressible, the same for the same seed.
  std::string make(uint64_t size, uint64_t seed);
  void tag(std::string_view repository, std::string_view tag, std::string_view digest);
  /// A rule in JSON, as scripted_upstream.py has it:
  /// {"containing": "/blobs/", "times": 1, "quirks": [{"cut": {"after": 1000, "how": "rst"}}]}
  void on(std::string_view rule);
  /// No rules any more.
  void behave();
  /// Opens the gate that a rule names: {"stall": {"after": 1000, "gate": "here"}}.
  void open_gate(std::string_view name);

  /// The requests so far, oldest first: those of that method ("": any) whose path contains the text.
  std::vector<Seen> seen(std::string_view method = "", std::string_view containing = "") const;
  void forget();

  /// What a server said, up to the connection's end. `body` is raw, chunks and all.
  struct Reply {
    int status = 0;
    std::string head;
    std::string body;
  };
  /// One request on a connection of its own, for tests that need no client of their own. `headers`: whole
  /// lines.
  Reply request(std::string_view method, std::string_view target, std::string_view body = {},
                std::string_view headers = {}) const;

 private:
  std::string control(std::string_view method, std::string_view path, std::string_view body = {}) const;

  pid_t child_ = -1;
  int stdin_ = -1;
  uint16_t port_ = 0;
};

}  // namespace entrepot::testing
