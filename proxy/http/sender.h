#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/shared_fd.h"
#include "proxy/http/channel.h"
#include "proxy/http/exchange.h"
#include "proxy/http/file_window.h"

namespace entrepot::http {

/// The outgoing side of a connection: what is to be sent, in order, and how far that is. Knows no HTTP. Never
/// sleeps: stops where the socket is full or the file is not in memory. A value inside its connection; loop's
/// thread only.
///
///     first (canned head) → out (head, framing) → body → file → tail
///
///     idle → sending_bytes → sending_file → sending_bytes (the tail) → idle        each part may be empty
class Sender {
 public:
  enum class Progress {
    done,        // all is with the kernel
    blocked,     // the socket is full: wait until it is writable
    slice_used,  // more could be sent, but it is others' turn
    cold,        // the file's next window is not in memory: warm [cold_begin(), cold_end())
    gone,        // the client has left
    truncated,   // the file is shorter than was promised
  };

  /// Bytes to go out after what was added before. REQUIRES: no file added since idle.
  std::string& out() { return out_; }
  void add_body(std::string body) { body_ = std::move(body); }
  /// The canned head goes before `out()`, the body (unless `head_only`) after it. REQUIRES: idle.
  void add_canned(std::shared_ptr<const CannedAnswer> answer, bool head_only);
  /// Bytes [begin, end) of `file`, then `tail` (static text).
  void add_file(SharedFd file, uint64_t begin, uint64_t end, std::string_view tail);

  bool is_idle() const { return bytes_left() == 0 && !file_; }
  /// Sends at most `slice` bytes.
  Progress pump(Channel& channel, uint64_t slice, Look look);

  const SharedFd& file() const { return file_; }
  uint64_t cold_begin() const { return file_at_; }
  uint64_t cold_end() const;
  /// The file is in memory up to there.
  void set_warm_until(uint64_t end) { warm_until_ = end; }

  /// All bytes that the kernel took, since the connection began.
  uint64_t total_sent() const { return total_sent_; }
  /// Lets go of everything.
  void clear();

 private:
  static constexpr size_t kMaxPieces = 4;
  size_t bytes_left() const;
  std::array<std::string_view, kMaxPieces> views() const;
  std::array<std::string_view, kMaxPieces> unsent(uint64_t limit) const;
  Progress send_bytes(Channel& channel, uint64_t& slice, Look look);
  Progress send_file(Channel& channel, uint64_t& slice, Look look);
  bool is_next_window_warm(Look look);
  void clear_bytes();

  std::shared_ptr<const CannedAnswer> canned_;
  bool canned_head_only_ = false;
  std::string out_;
  std::string body_;
  size_t bytes_sent_ = 0;  // of the views together

  SharedFd file_;
  uint64_t file_at_ = 0;
  uint64_t file_end_ = 0;
  uint64_t warm_until_ = 0;
  std::string_view tail_;

  uint64_t total_sent_ = 0;
};

}  // namespace entrepot::http
