#pragma once

#include <map>
#include <memory>
#include <string>

namespace prometheus {
class Counter;
class Gauge;
}  // namespace prometheus

namespace entrepot {

using Labels = std::map<std::string, std::string>;

/// A number that only grows. A cheap handle into Metrics, which outlives it; any thread.
class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void add(double amount = 1) const;
  double value() const;

 private:
  prometheus::Counter* counter_;
};

/// A number that goes up and down. As Counter.
class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void set(double value) const;
  void add(double amount) const;
  double value() const;

 private:
  prometheus::Gauge* gauge_;
};

/// All metrics of the process, rendered in Prometheus' text format. Made by main, passed by reference. Asking
/// for a counter takes a lock: ask when constructing, never per request. Labels never hold a repository or a
/// client.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  /// The counter of that name and those labels, made on the first call. Names end in `_total` by convention.
  Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});

  std::string render() const;

 private:
  class Registry;
  std::unique_ptr<Registry> registry_;
};

}  // namespace entrepot
