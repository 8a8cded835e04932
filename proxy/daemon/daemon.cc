#include "proxy/daemon/daemon.h"

#include "base/units.h"
#include "proxy/config/changes.h"
#include "proxy/daemon/parts.h"
#include "proxy/daemon/service_manager.h"
#include "proxy/daemon/signals.h"

namespace entrepot::daemon {
namespace {

// Takes over into `running` what has changed and can. Everything or nothing.
void reload(config::Config& running, const LoadConfig& load_again, Parts& parts, Logger& logger) {
  auto loaded = load_again();
  if (!loaded) {
    for (const config::ConfigError& error : loaded.error()) logger.error("{}", config::to_text(error));
    logger.error("nothing was reloaded");
    return;
  }
  config::Config wanted = running;
  wanted.cache.max_size = loaded->cache.max_size;
  wanted.cache.min_free = loaded->cache.min_free;
  Status set = parts.set_limits(wanted.cache);
  if (!set) {
    logger.error("nothing was reloaded: {}", set.error().message);
    return;
  }
  running = std::move(wanted);
  for (const std::string& key : config::changed_keys(running, *loaded))
    logger.warn("{} has changed, which takes a restart", key);
  logger.info("reloaded: cache.max_size = {}, cache.min_free = {}", config::text_of(running.cache.max_size),
              format_size(running.cache.min_free));
}

}  // namespace

Status serve(const config::Config& config, const LoadConfig& load_again) {
  ENTREPOT_TRY_ASSIGN(Signals signals, Signals::block());
  Logger logger({.level = config.log.level, .format = config.log.format});
  ENTREPOT_TRY_ASSIGN(std::unique_ptr<Parts> parts, Parts::make(config, logger));
  parts->start();
  logger.info("ready: {}", parts->summary());
  notify_ready(parts->summary());

  config::Config running = config;
  while (signals.wait() != Signals::Event::stop) {
    notify_reloading();
    reload(running, load_again, *parts, logger);
    notify_ready(parts->summary());
  }
  logger.info("draining for at most {} s",
              std::chrono::duration_cast<std::chrono::seconds>(config.server.drain_timeout).count());
  notify_stopping();
  parts->drain(config.server.drain_timeout, [&signals] { signals.ring(); });
  Signals::Event ended = signals.wait();
  while (ended == Signals::Event::reload) ended = signals.wait();
  logger.info("{}", ended == Signals::Event::stop ? "cut by a second signal" : "drained");
  parts->stop();
  parts.reset();
  logger.info("stopped");
  return {};
}

}  // namespace entrepot::daemon
