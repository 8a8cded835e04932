// How an answer goes out: the sender, pages that are not in memory, the end. Requests are in connection.cc.

#include <algorithm>

#include "proxy/http/client_exchange.h"
#include "proxy/http/connection.h"

namespace entrepot::http {

bool Connection::step_answering() {
  if (is_warming_) return false;
  bool is_at_once = sender_.file() && !is_turn_;
  if (is_at_once && !set_.may_send_at_once()) {
    if (mask_ & PollWatch::kReadable) want(PollWatch::kDisconnect);
    wait_for_turn();
    return false;
  }
  Look look = sender_.file() ? set_.cold_watch().look(set_.now()) : Look::samples;
  uint64_t before = sender_.total_sent();
  Sender::Progress progress = sender_.pump(channel_, slice_, look);
  if (is_at_once) set_.sent_at_once(sender_.total_sent() - before);
  if (progress == Sender::Progress::blocked) {
    wait_blocked();
    return false;
  }
  deadline_ = kNever;
  switch (progress) {
    case Sender::Progress::done:
      if (current_ != nullptr) current_->on_flushed();
      if (current_ == nullptr || current_->has_ended()) {
        end_answer();
        return true;
      }
      want(PollWatch::kDisconnect);
      return false;
    case Sender::Progress::slice_used:
      if (mask_ & PollWatch::kReadable) want(PollWatch::kDisconnect);
      wait_for_turn();
      return false;
    case Sender::Progress::cold:
      start_warming();
      return false;
    case Sender::Progress::truncated:
      set_.loop().logger().error("a file is shorter than what was promised of it; the answer is cut");
      if (sender_.file()) sender_.file()->report_unreadable();
      cut();
      return false;
    default:
      close(Outcome::client_left);
      return false;
  }
}

void Connection::wait_blocked() {
  want(PollWatch::kWritable | PollWatch::kDisconnect);
  if (deadline_ != kNever && sender_.total_sent() - progress_mark_ < kMinProgressBytes) return;
  progress_mark_ = sender_.total_sent();
  deadline_ = set_.now() + set_.limits().stall_timeout;
}

void Connection::start_warming() {
  is_warming_ = true;
  want(PollWatch::kDisconnect);
  set_.metrics().cold_windows.add();
  set_.cold_watch().saw_cold(set_.now());
  auto job = [self = weak_from_this(), &loop = set_.loop(), file = sender_.file(),
              begin = sender_.cold_begin(), end = sender_.cold_end()]() mutable {
    bool is_readable = warm_window(file->get(), begin, end);
    file.reset();
    loop.post([self = std::move(self), end, is_readable] {
      if (auto connection = self.lock()) connection->on_warmed(end, is_readable);
    });
  };
  set_.disk().submit("warm", std::move(job));
}

void Connection::on_warmed(uint64_t end, bool is_readable) {
  is_warming_ = false;
  if (is_closed()) return;
  if (!is_readable) {
    set_.loop().logger().error("a file cannot be read as far as it was promised; the answer is cut");
    if (sender_.file()) sender_.file()->report_unreadable();
    return cut();
  }
  sender_.set_warm_until(end);
  wait_for_turn();
}

void Connection::end_answer() {
  if (current_ != nullptr) {
    record(Outcome::complete);
    ClientExchange* exchange = std::exchange(current_, nullptr);
    if (exchange->is_held()) {
      exchange->leave_connection();
    } else {
      exchange->reset();
      spare_.reset(exchange);
    }
  }
  if (closes_after_ || set_.is_draining()) return begin_linger();
  state_ = State::reading;
  has_news_ = !unread().empty();
  const Limits& limits = set_.limits();
  deadline_ = set_.now() + (has_news_ ? limits.header_timeout : limits.idle_timeout);
}

void Connection::record(Outcome outcome) {
  ServerMetrics& metrics = set_.metrics();
  AccessRecord record{current_->status(), sender_.total_sent() - sent_before_answer_, {}, outcome};
  record.duration = std::chrono::duration_cast<Duration>(set_.now() - answer_begun_);
  if (record.status >= 100 && record.status < 600) metrics.requests(record.status).add();
  metrics.sent_bytes.add(static_cast<double>(record.bytes));
  if (outcome != Outcome::complete) metrics.cut_answers.add();
  if (service_->has_access_log)
    write_access_line(set_.loop().logger(), current_->request(), current_->note(), record);
}

}  // namespace entrepot::http
