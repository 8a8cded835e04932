#pragma once

#include <string>

#include "upstream/response_head.h"

namespace entrepot::upstream {

/// The query of the next page's URL, from the Link field with rel="next" (RFC 8288; distribution-spec,
/// "Listing Tags"): "last=b&n=2". "" when there is none, or none that makes sense. Where else the link leads
/// is not asked: the next page is asked for at the same place, so no link leads to another host.
std::string next_query_of(const ResponseHead& head);

}  // namespace entrepot::upstream
