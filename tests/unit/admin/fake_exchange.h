#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/disk/disk_pool.h"
#include "proxy/http/exchange.h"

namespace entrepot::admin {

/// An exchange without a connection, that keeps the answer.
class FakeExchange final : public http::Exchange {
 public:
  FakeExchange(EventLoop& loop, http::Method method, std::string target) : loop_(loop) {
    request_.method = method;
    request_.target = std::move(target);
    request_.path = request_.target;
    request_.headers.emplace_back("Host", "127.0.0.1:5001");
  }
  http::Request& mutable_request() { return request_; }

  const http::Request& request() const override { return request_; }
  EventLoop& loop() const override { return loop_; }
  http::AccessNote& note() override { return note_; }
  bool is_connected() const override { return true; }
  void on_client_left(std::move_only_function<void()>) override {}
  void send(http::Head sent_head, std::string sent_body) override {
    CHECK(status == 0);
    status = sent_head.status;
    head = std::move(sent_head);
    body = std::move(sent_body);
  }
  void send_canned(std::shared_ptr<const http::CannedAnswer> answer) override {
    CHECK(status == 0);
    status = answer->status;
    canned_head = answer->head;
    body = *answer->body;
  }
  void send_file(http::Head, SharedFd, uint64_t, uint64_t) override { CHECK(false); }
  void start(http::Head, std::optional<uint64_t>) override { CHECK(false); }
  Task<Status> write_file(SharedFd, uint64_t, uint64_t) override { co_return Status(); }
  Task<Status> write(std::string) override { co_return Status(); }
  void finish() override { CHECK(false); }
  void abort() override { CHECK(false); }

  std::string field(std::string_view name) const {
    for (const auto& [key, value] : head.headers)
      if (key == name) return value;
    return "(none)";
  }

  int status = 0;
  http::Head head;
  std::string canned_head;
  std::string body;

 private:
  EventLoop& loop_;
  http::Request request_;
  http::AccessNote note_;
};

/// Runs its jobs when told to.
class SteppedDiskPool final : public DiskPool {
 public:
  void submit(const char*, Job job) override { jobs.push_back(std::move(job)); }
  std::vector<Job> jobs;
};

}  // namespace entrepot::admin
