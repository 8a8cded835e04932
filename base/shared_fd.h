#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/unique_fd.h"

namespace entrepot {

/// A descriptor that several readers share: closed when the last lets go. Answers are sent from these by
/// `sendfile(2)` and `pread(2)` with explicit offsets, so sharing needs no care. A blob that was evicted
/// meanwhile keeps its bytes until then.
class OpenFile : public UniqueFd {
 public:
  explicit OpenFile(UniqueFd fd, std::function<void()> on_unreadable = {})
      : UniqueFd(std::move(fd)), on_unreadable_(std::move(on_unreadable)) {}

  /// The disk does not give its bytes, or it is shorter than it should be: whoever opened it may do without
  /// it from now on. Any thread.
  void report_unreadable() const {
    if (on_unreadable_) on_unreadable_();
  }

 private:
  std::function<void()> on_unreadable_;
};
using SharedFd = std::shared_ptr<const OpenFile>;

}  // namespace entrepot
