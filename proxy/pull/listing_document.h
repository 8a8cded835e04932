#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"

namespace entrepot::pull {

/// One page of a repository's tags, or of a manifest's referrers, as JSON that is ready to be sent.
/// Immutable, shared between loops. In few pieces, however many the items are, so that a loop can let go of
/// it at once.
class Listing {
 public:
  struct Item {
    size_t begin = 0;  // in `json`
    size_t end = 0;
    size_t type_begin = 0;  // in the artifact types
    size_t type_end = 0;
  };

  /// `json`: a tag in quotes, or a descriptor; `artifact_type`: of a referrer.
  void add(std::string_view json, std::string_view artifact_type);

  const std::vector<Item>& items() const { return items_; }
  std::string_view json(const Item& item) const { return all().substr(item.begin, item.end - item.begin); }
  std::string_view artifact_type(const Item& item) const {
    return std::string_view(types_).substr(item.type_begin, item.type_end - item.type_begin);
  }
  /// The inside of a JSON list.
  std::string_view all() const { return json_; }
  /// What it takes in memory, roughly.
  size_t weight() const;

  std::string next_query;  // of the next page at the upstream; "" = this is the last

 private:
  std::string json_;  // with commas between them
  std::string types_;
  std::vector<Item> items_;
};

/// The tags of a tags/list document (distribution-spec end-8), in their order; what is no tag is left out.
/// upstream_failed for what is no such document.
Result<Listing> read_tag_list(std::string_view bytes);

/// The descriptors of an image index (end-12). upstream_failed for what is none.
Result<Listing> read_referrers(std::string_view bytes);
/// The same, added to `listing`; not those it has.
Status add_referrers(Listing& listing, std::string_view bytes);

/// The descriptor of a manifest that has a subject, as the referrers API gives it (distribution-spec,
/// "Listing Referrers"): with its annotations, and its artifactType or else its config's media type.
Status add_referrer(Listing& listing, const Digest& digest, std::string_view media_type,
                    std::string_view manifest);

}  // namespace entrepot::pull
