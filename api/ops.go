package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/paylogic/pushserver/ratelimit"
	"github.com/paylogic/pushserver/streams"
)

// checkTimeout bounds the check of the log in /readyz.
const checkTimeout = 2 * time.Second

// OpsHandler returns the operators' endpoints, for a listener that clients cannot
// reach. /healthz says that the process is alive, /readyz whether it should receive
// traffic and if not why, and /metrics is for Prometheus.
func (s *Server) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_ = writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	status, body := http.StatusOK, map[string]string{
		"status": "ready", "durability": string(s.Log.Durability()),
	}
	if s.Hub.Draining() {
		status, body["status"], body["reason"] = http.StatusServiceUnavailable, "draining", "the server is shutting down"
	} else if err := s.Log.Check(ctx); err != nil {
		// Operators may see the cause.
		status, body["status"], body["reason"] = http.StatusServiceUnavailable, "not ready", err.Error()
	}
	_ = writeJSON(w, status, body)
}

type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	intake   *prometheus.CounterVec // refused input from Redis
}

func newMetrics(registry *prometheus.Registry, hub *streams.Hub, limiter Limiter, version string) *metrics {
	m := &metrics{
		registry: registry,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushserver_requests_total", Help: "Requests by endpoint, method and status.",
		}, []string{"endpoint", "method", "status"}),
	}
	m.intake = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushserver_intake_refused_total", Help: "Entries of the inbox or messages of a channel in Redis that were not valid events.",
	}, []string{"from"})
	registry.MustRegister(m.requests, m.intake, collectors.NewGoCollector(), hubCollector{hub},
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if l, ok := limiter.(*ratelimit.RedisLimiter); ok {
		registry.MustRegister(
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: "pushserver_limiter_fallback_total", Help: "Limits decided locally because Redis did not answer.",
			}, func() float64 { return float64(l.Fallbacks()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "pushserver_gateways", Help: "Gateways known to share the limits.",
			}, func() float64 { return float64(l.Gateways()) }),
		)
	}
	if version != "" {
		info := prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushserver_build_info", Help: "The program's version, as a label.",
			ConstLabels: prometheus.Labels{"version": version},
		})
		info.Set(1)
		registry.MustRegister(info)
	}
	return m
}

// count counts a request. Unknown paths and methods share one label, so that labels
// are bounded.
func (m *metrics) count(endpoint, verb string, status int) {
	method := "other"
	switch verb {
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions:
		method = verb
	}
	if status == 0 {
		status = http.StatusOK // the stream left net/http
	}
	m.requests.WithLabelValues(endpoint, method, strconv.Itoa(status)).Inc()
}

type hubCollector struct{ hub *streams.Hub }

var (
	descSubscriptions = prometheus.NewDesc("pushserver_subscriptions", "Open streams of clients.", nil, nil)
	descStreams       = prometheus.NewDesc("pushserver_log_tails", "Logs whose tail is in memory.", nil, nil)
	descFeeds         = prometheus.NewDesc("pushserver_feeds", "Distinct filters over those tails.", nil, nil)
	descDelivered     = prometheus.NewDesc("pushserver_deliveries_total", "Events written to connections.", nil, nil)
	descBytes         = prometheus.NewDesc("pushserver_sent_bytes_total", "Bytes written to streams.", nil, nil)
	descResets        = prometheus.NewDesc("pushserver_resets_total", "Gaps announced to clients.", nil, nil)
	descReads         = prometheus.NewDesc("pushserver_log_reads_total", "Batches read from logs for single readers.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c hubCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c hubCollector) Collect(ch chan<- prometheus.Metric) {
	stats := c.hub.Stats()
	gauge := func(d *prometheus.Desc, n int) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n))
	}
	counter := func(d *prometheus.Desc, n uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n))
	}
	gauge(descSubscriptions, stats.Subscriptions)
	gauge(descStreams, stats.Tails)
	gauge(descFeeds, stats.Feeds)
	counter(descDelivered, stats.Delivered)
	counter(descBytes, stats.Bytes)
	counter(descResets, stats.Resets)
	counter(descReads, stats.Reads)
}
