#include "proxy/http/server_metrics.h"

namespace entrepot::http {
namespace {

Counter requests_of(Metrics& metrics, const char* status_class) {
  return metrics.counter("entrepot_http_requests_total", "Requests answered, by class of status",
                         {{"class", status_class}});
}

Counter limit(Metrics& metrics, const char* name) {
  return metrics.counter("entrepot_http_limits_total", "How often a bound of the HTTP server was reached",
                         {{"limit", name}});
}

}  // namespace

ServerMetrics::ServerMetrics(Metrics& metrics)
    : by_class{requests_of(metrics, "1xx"), requests_of(metrics, "2xx"), requests_of(metrics, "3xx"),
               requests_of(metrics, "4xx"), requests_of(metrics, "5xx")},
      sent_bytes(metrics.counter("entrepot_http_sent_bytes_total", "Bytes sent to clients, heads included")),
      cold_windows(metrics.counter("entrepot_http_cold_windows_total",
                                   "Windows of files that were read from disk before they could be sent")),
      cut_answers(metrics.counter("entrepot_http_cut_answers_total",
                                  "Answers that ended before their last byte, by us or by the client")),
      connections(metrics.gauge("entrepot_http_connections", "Open connections of clients")),
      header_timeouts(limit(metrics, "header_timeout")),
      idle_timeouts(limit(metrics, "idle_timeout")),
      stalled_clients(limit(metrics, "stalled_client")),
      refused_heads(limit(metrics, "head_size")),
      failed_handshakes(metrics.counter("entrepot_http_failed_handshakes_total",
                                        "TLS handshakes with clients that failed")),
      connection_limit(limit(metrics, "connections")),
      descriptor_limit(limit(metrics, "descriptors")) {}

}  // namespace entrepot::http
