#include "proxy/admin/health.h"

namespace entrepot::admin {

void Health::set_ready() {
  State expected = State::opening;
  state_.compare_exchange_strong(expected, State::ready);  // who drains is never ready again
}

std::string_view name_of(Health::State state) {
  switch (state) {
    case Health::State::opening:
      return "opening";
    case Health::State::ready:
      return "ready";
    case Health::State::draining:
      return "draining";
  }
  return "";
}

}  // namespace entrepot::admin
