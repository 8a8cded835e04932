#include "proxy/http/sender.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace entrepot::http {
namespace {

// A call of sendfile(2) may go on for as long as the client reads.
constexpr uint64_t kMaxSendfileBytes = 256 * 1024;
constexpr size_t kMaxKeptCapacity = 4 * 1024;

Sender::Progress after_failure() {
  return errno == EAGAIN || errno == EWOULDBLOCK ? Sender::Progress::blocked : Sender::Progress::gone;
}

void empty(std::string& text) {
  if (text.capacity() > kMaxKeptCapacity)
    text = std::string();
  else
    text.clear();
}

}  // namespace

void Sender::add_canned(std::shared_ptr<const CannedAnswer> answer, bool head_only) {
  canned_ = std::move(answer);
  canned_head_only_ = head_only;
}

void Sender::add_file(SharedFd file, uint64_t begin, uint64_t end, std::string_view tail) {
  CHECK(!file_ && begin < end);
  file_ = std::move(file);
  file_at_ = begin;
  file_end_ = end;
  warm_until_ = 0;
  tail_ = tail;
}

std::array<std::string_view, Sender::kMaxPieces> Sender::views() const {
  return {canned_ ? std::string_view(canned_->head) : std::string_view(), out_, body_,
          canned_ && !canned_head_only_ ? std::string_view(*canned_->body) : std::string_view()};
}

size_t Sender::bytes_left() const {
  size_t total = 0;
  for (std::string_view view : views()) total += view.size();
  return total - bytes_sent_;
}

// The next bytes, at most `limit`.
std::array<std::string_view, Sender::kMaxPieces> Sender::unsent(uint64_t limit) const {
  std::array<std::string_view, kMaxPieces> pieces = views();
  size_t skip = bytes_sent_;
  for (std::string_view& piece : pieces) {
    size_t gone = std::min(skip, piece.size());
    skip -= gone;
    piece.remove_prefix(gone);
    piece = piece.substr(0, limit);
    limit -= piece.size();
  }
  return pieces;
}

Sender::Progress Sender::pump(Channel& channel, uint64_t slice, Look look) {
  while (true) {
    Progress progress = Progress::done;
    if (bytes_left() > 0) {
      progress = send_bytes(channel, slice, look);
    } else if (file_) {
      progress = send_file(channel, slice, look);
    } else {
      return channel.flush() == 0 ? Progress::done : after_failure();
    }
    if (progress != Progress::done) return progress;
  }
}

Sender::Progress Sender::send_bytes(Channel& channel, uint64_t& slice, Look look) {
  // The head may wait for the file's first bytes, but not for a disk.
  bool more_follows = file_ && is_next_window_warm(look);
  while (size_t left = bytes_left()) {
    if (slice == 0) return Progress::slice_used;
    uint64_t wanted = std::min<uint64_t>(left, slice);
    ssize_t sent = channel.send(unsent(wanted), more_follows || wanted < left);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return after_failure();
    bytes_sent_ += static_cast<size_t>(sent);
    total_sent_ += static_cast<uint64_t>(sent);
    // TLS takes a record at a time; a socket that takes less than all is full.
    if (static_cast<uint64_t>(sent) < wanted && channel.tls() == nullptr) return Progress::blocked;
    slice -= static_cast<uint64_t>(sent);
  }
  clear_bytes();
  return Progress::done;
}

bool Sender::is_next_window_warm(Look look) {
  if (file_at_ < warm_until_) return true;
  uint64_t end = std::min(file_at_ + kFileWindow, file_end_);
  if (!is_window_warm(file_->get(), file_at_, end, look)) return false;
  warm_until_ = end;
  return true;
}

Sender::Progress Sender::send_file(Channel& channel, uint64_t& slice, Look look) {
  while (file_at_ < file_end_) {
    if (slice == 0) return Progress::slice_used;
    if (!is_next_window_warm(look)) return Progress::cold;
    uint64_t wanted = std::min({slice, kMaxSendfileBytes, std::min(warm_until_, file_end_) - file_at_});
    ssize_t sent = channel.send_file(file_->get(), file_at_, wanted);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      bool is_of_socket = errno == EAGAIN || errno == EWOULDBLOCK || errno == EPIPE || errno == ECONNRESET ||
                          errno == ETIMEDOUT;
      return is_of_socket ? after_failure() : Progress::truncated;
    }
    if (sent == 0) return Progress::truncated;
    file_at_ += static_cast<uint64_t>(sent);
    total_sent_ += static_cast<uint64_t>(sent);
    slice -= static_cast<uint64_t>(sent);
  }
  file_.reset();
  out_ = tail_;
  return Progress::done;
}

uint64_t Sender::cold_end() const { return std::min(file_at_ + kWarmWindow, file_end_); }

void Sender::clear_bytes() {
  canned_.reset();
  empty(out_);
  empty(body_);
  bytes_sent_ = 0;
}

void Sender::clear() {
  clear_bytes();
  file_.reset();
}

}  // namespace entrepot::http
