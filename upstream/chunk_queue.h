#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace entrepot::upstream {

/// Bytes between a transfer and its reader, in pieces of at most 256 KiB, so that a piece is moved and never
/// copied again. The transfer bounds it.
class ChunkQueue {
 public:
  void append(std::string_view bytes) {
    size_ += bytes.size();
    while (!bytes.empty()) {
      if (chunks_.empty() || chunks_.back().size() == kChunkSize) add_chunk(bytes.size());
      std::string& last = chunks_.back();
      std::string_view part = bytes.substr(0, kChunkSize - last.size());
      last.append(part);
      bytes.remove_prefix(part.size());
    }
  }
  /// REQUIRES: not empty.
  std::string take() {
    std::string first = std::move(chunks_.front());
    chunks_.pop_front();
    size_ -= first.size();
    return first;
  }
  bool is_empty() const { return size_ == 0; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kChunkSize = 256 * 1024;

  // Large from the start, but for the first of what may be a small body: growing would touch twice the
  // memory.
  void add_chunk(size_t least) {
    bool is_long = !chunks_.empty() || least >= kChunkSize / 4;
    chunks_.emplace_back();
    if (is_long) chunks_.back().reserve(kChunkSize);
  }

  std::deque<std::string> chunks_;
  size_t size_ = 0;
};

}  // namespace entrepot::upstream
