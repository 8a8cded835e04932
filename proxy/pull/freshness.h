#pragma once

#include <optional>

#include "base/clock.h"
#include "proxy/pull/context.h"

namespace entrepot::pull {

/// For how long what an upstream said of a name (a tag, a listing) may be given, since it was asked last: by
/// the settings of the upstream. A value.
///
///     checked --tag_ttl--> old --stale_while_revalidate--> too old to be given unasked
///                          old --stale_ttl--> not given any more, also when the upstream fails
class Freshness {
 public:
  Freshness(Context& context, const cache::Repository& repository, MonotonicTime checked_at) {
    upstream::Registry* registry = context.upstreams.find(repository.upstream);
    if (registry != nullptr) settings_ = &registry->settings();
    fresh_until_ = checked_at + (settings_ == nullptr ? Duration::zero() : settings_->tag_ttl);
  }

  MonotonicTime fresh_until() const { return fresh_until_; }
  bool is_fresh(MonotonicTime now) const { return now < fresh_until_; }
  /// It may be given while the upstream is asked in the background (RFC 5861 section 3).
  bool may_be_given_meanwhile(MonotonicTime now) const {
    return settings_ != nullptr && now < fresh_until_ + settings_->stale_while_revalidate;
  }
  MonotonicTime given_unasked_until() const {
    return fresh_until_ + (settings_ == nullptr ? Duration::zero() : settings_->stale_while_revalidate);
  }
  /// It may be given since the upstream can't be asked (RFC 5861 section 4).
  bool may_be_given_on_error(MonotonicTime now) const {
    return settings_ == nullptr || !settings_->stale_ttl || now < fresh_until_ + *settings_->stale_ttl;
  }

 private:
  const upstream::Settings* settings_ = nullptr;
  MonotonicTime fresh_until_;
};

}  // namespace entrepot::pull
