#include "proxy/daemon/daemon.h"

#include "proxy/daemon/parts.h"
#include "proxy/daemon/service_manager.h"
#include "proxy/daemon/signals.h"

namespace entrepot::daemon {

Status serve(const config::Config& config) {
  ENTREPOT_TRY_ASSIGN(Signals signals, Signals::block());
  Logger logger({.level = config.log.level, .format = config.log.format});
  ENTREPOT_TRY_ASSIGN(std::unique_ptr<Parts> parts, Parts::make(config, logger));
  parts->start();
  logger.info("ready: {}", parts->summary());
  notify_ready(parts->summary());

  signals.wait();
  logger.info("draining for at most {} s",
              std::chrono::duration_cast<std::chrono::seconds>(config.server.drain_timeout).count());
  notify_stopping();
  parts->drain(config.server.drain_timeout, [&signals] { signals.ring(); });
  bool was_cut = signals.wait() == Signals::Event::stop;
  logger.info("{}", was_cut ? "cut by a second signal" : "drained");
  parts->stop();
  parts.reset();
  logger.info("stopped");
  return {};
}

}  // namespace entrepot::daemon
