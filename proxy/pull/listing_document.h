#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::pull {

/// One page of a repository's tags, or of a manifest's referrers, as JSON that is ready to be joined.
/// Immutable, shared between loops.
struct Listing {
  struct Item {
    std::string json;           // a tag in quotes, or a descriptor
    std::string artifact_type;  // of a referrer
  };
  std::vector<Item> items;
  std::string next_query;  // of the next page at the upstream; "" = this is the last

  /// What it takes in memory, roughly.
  size_t weight() const;
};

/// The tags of a tags/list document (distribution-spec end-8), in their order; what is no tag is left out.
/// upstream_failed for what is no such document.
Result<Listing> read_tag_list(std::string_view bytes);

/// The descriptors of an image index (end-12). upstream_failed for what is none.
Result<Listing> read_referrers(std::string_view bytes);

}  // namespace entrepot::pull
