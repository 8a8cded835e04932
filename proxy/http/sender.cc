#include "proxy/http/sender.h"

#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace entrepot::http {
namespace {

// A call of sendfile(2) may go on for as long as the client reads.
constexpr uint64_t kMaxSendfileBytes = 256 * 1024;
constexpr size_t kMaxKeptCapacity = 4 * 1024;

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
          canned_ && !canned_head_only_ ? std::string_view(canned_->body) : std::string_view()};
}

size_t Sender::bytes_left() const {
  size_t total = 0;
  for (std::string_view view : views()) total += view.size();
  return total - bytes_sent_;
}

size_t Sender::gather(std::array<iovec, kMaxPieces>& pieces) const {
  size_t count = 0;
  size_t skip = bytes_sent_;
  for (std::string_view view : views()) {
    size_t gone = std::min(skip, view.size());
    skip -= gone;
    view.remove_prefix(gone);
    if (!view.empty()) pieces[count++] = iovec{const_cast<char*>(view.data()), view.size()};
  }
  return count;
}

Sender::Progress Sender::pump(int socket, uint64_t slice, Look look) {
  while (true) {
    Progress progress = Progress::done;
    if (bytes_left() > 0) {
      progress = send_bytes(socket, look);
    } else if (file_) {
      progress = send_file(socket, slice, look);
    } else {
      return Progress::done;
    }
    if (progress != Progress::done) return progress;
  }
}

Sender::Progress Sender::send_bytes(int socket, Look look) {
  // The head may wait for the file's first bytes, but not for a disk.
  bool more_follows = file_ && is_next_window_warm(look);
  while (size_t left = bytes_left()) {
    std::array<iovec, kMaxPieces> pieces;
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = gather(pieces);
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT | (more_follows ? MSG_MORE : 0));
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::blocked : Progress::gone;
    }
    bytes_sent_ += static_cast<size_t>(sent);
    total_sent_ += static_cast<uint64_t>(sent);
    if (static_cast<size_t>(sent) < left) return Progress::blocked;
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

Sender::Progress Sender::send_file(int socket, uint64_t& slice, Look look) {
  while (file_at_ < file_end_) {
    if (slice == 0) return Progress::slice_used;
    if (!is_next_window_warm(look)) return Progress::cold;
    uint64_t wanted = std::min({slice, kMaxSendfileBytes, std::min(warm_until_, file_end_) - file_at_});
    auto offset = static_cast<off_t>(file_at_);
    ssize_t sent = sendfile(socket, file_->get(), &offset, wanted);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Progress::blocked;
      return errno == EPIPE || errno == ECONNRESET || errno == ETIMEDOUT ? Progress::gone
                                                                         : Progress::truncated;
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
