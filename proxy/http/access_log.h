#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/http/exchange.h"

namespace entrepot::http {

/// How an answer ended.
enum class Outcome { complete, aborted, client_left };

struct AccessRecord {
  int status = 0;      // 0 = no head was sent
  uint64_t bytes = 0;  // handed to the kernel, head included
  Duration duration{};
  Outcome outcome = Outcome::complete;
};

/// The one line of a request, written at its end. The target's query is left out: it may hold what is not for
/// logs.
void write_access_line(Logger& logger, const Request& request, const AccessNote& note,
                       const AccessRecord& record);

}  // namespace entrepot::http
