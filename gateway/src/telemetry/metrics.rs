//! All metrics by name. Labels have a fixed set of values: a client's data is never a label value.

use mcp_gateway_core::mcp::method::McpMethod;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The `resource` label of a request that matches no resource.
pub(crate) const NO_RESOURCE: &str = "none";

/// Statuses with their own label: the registered ones that HTTP answers use, and 499 for a client that disconnected.
const STATUSES: &[(u16, &str)] = &[
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (203, "203"),
    (204, "204"),
    (205, "205"),
    (206, "206"),
    (300, "300"),
    (301, "301"),
    (302, "302"),
    (303, "303"),
    (304, "304"),
    (307, "307"),
    (308, "308"),
    (400, "400"),
    (401, "401"),
    (402, "402"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (407, "407"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (411, "411"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (416, "416"),
    (417, "417"),
    (421, "421"),
    (422, "422"),
    (426, "426"),
    (428, "428"),
    (429, "429"),
    (431, "431"),
    (451, "451"),
    (499, "499"),
    (500, "500"),
    (501, "501"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
    (505, "505"),
];

/// Seconds; from a cached verification to a slow tool.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Seconds; from a cached verification (a few microseconds) to a wait for keys.
const AUTHENTICATION_BUCKETS: &[f64] = &[
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.001, 0.01, 0.1, 0.5, 1.0, 2.5,
];

/// All metrics of the gateway, in their own registry.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) request_duration: HistogramVec,
    pub(crate) authentication_duration: Histogram,
    pub(crate) refusals: IntCounterVec,
    pub(crate) tool_calls: IntCounterVec,
    pub(crate) condition_failures: IntCounterVec,
    pub(crate) list_entries_hidden: IntCounterVec,
    pub(crate) streams_active: IntGaugeVec,
    pub(crate) connections_active: IntGauge,
    pub(crate) calls_in_flight: IntGauge,
    pub(crate) calls_limit: IntGauge,
    pub(crate) dpop_proofs: IntGauge,
    pub(crate) body_bytes: IntGauge,
    pub(crate) body_bytes_limit: IntGauge,
    pub(crate) connections_closed: IntCounterVec,
    pub(crate) accept_errors: IntCounter,
    pub(crate) upstream_errors: IntCounterVec,
    pub(crate) upstream_retries: IntCounterVec,
    pub(crate) endpoint_calls: IntCounterVec,
    pub(crate) endpoint_calls_in_flight: IntGaugeVec,
    pub(crate) endpoint_calls_waiting: IntGaugeVec,
    pub(crate) endpoint_usable: IntGaugeVec,
    pub(crate) endpoint_ejections: IntCounterVec,
    pub(crate) endpoint_retries: IntCounterVec,
    pub(crate) endpoint_resolutions: IntCounterVec,
    pub(crate) jwks_fetches: IntCounterVec,
    pub(crate) jwks_age: GaugeVec,
    pub(crate) jwks_keys_rejected: IntCounterVec,
    pub(crate) token_cache: IntCounterVec,
    pub(crate) introspections: IntCounterVec,
    pub(crate) introspection_duration: HistogramVec,
    pub(crate) introspection_paused: IntGaugeVec,
    pub(crate) config_reloads: IntCounterVec,
    pub(crate) config_last_reload: Gauge,
    pub(crate) config_last_reload_successful: IntGauge,
    pub(crate) certificate_expiry: GaugeVec,
    pub(crate) log_lines_dropped: IntCounter,
    pub(crate) audit_lines_dropped: IntCounter,
    pub(crate) rate_limit_store_failures: IntCounter,
    pub(crate) decision_point_questions: IntCounterVec,
    pub(crate) decision_point_duration: HistogramVec,
    pub(crate) upstream_credentials: IntCounterVec,
    pub(crate) upstream_credential_duration: HistogramVec,
    store_connected: IntGaugeVec,
    pub(crate) oauth_refused_requests: IntCounterVec,
    pub(crate) oauth_sign_ins: IntCounterVec,
    pub(crate) oauth_consents: IntCounterVec,
    pub(crate) oauth_registrations: IntCounterVec,
    pub(crate) oauth_tokens: IntCounterVec,
    pub(crate) oauth_revocations: IntCounterVec,
    pub(crate) oauth_store_commits: IntCounter,
    pub(crate) oauth_store_changes: IntCounter,
    pub(crate) oauth_store_failures: IntCounter,
    pub(crate) oauth_store_waiting: IntGauge,
    pub(crate) oauth_store_round_trips: IntCounter,
    pub(crate) oauth_store_conflicts: IntCounter,
    pub(crate) oauth_store_connections_lost: IntCounter,
}

impl Metrics {
    /// All metrics, registered.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let register = Registrar::new()?;
        let metrics = Self {
            requests: register.counters("requests_total", "Requests that ended, by resource, MCP method and HTTP status (499: the client disconnected).", &["resource", "mcp_method", "status"])?,
            request_duration: register.durations(
                "request_duration_seconds",
                "Seconds from a request's head to the end of its response, by resource and MCP method; listening streams are not included.",
                &["resource", "mcp_method"],
            )?,
            authentication_duration: register.authentication()?,
            refusals: register.counters("refusals_total", "Requests refused by the gateway, by resource and reason.", &["resource", "reason"])?,
            tool_calls: register.counters(
                "tool_calls_total",
                "Tool calls, by resource, tool and HTTP status; a tool that no policy rule names counts as \"other\".",
                &["resource", "tool", "status"],
            )?,
            condition_failures: register.counters(
                "condition_failures_total",
                "Policy conditions that could not be evaluated, so that the call was denied, by resource and cause.",
                &["resource", "cause"],
            )?,
            list_entries_hidden: register.counters(
                "list_entries_hidden_total",
                "List entries that the policy hid from a caller, by resource and kind of list.",
                &["resource", "kind"],
            )?,
            streams_active: register.gauges("streams_active", "Open event streams, by resource.", &["resource"])?,
            connections_active: register.gauge("connections_active", "Open client connections.")?,
            calls_in_flight: register.gauge("calls_in_flight", "Calls that wait for an answer of an upstream, or whose answer is being sent; without listening streams.")?,
            dpop_proofs: register.gauge("dpop_proofs", "DPoP proofs that are remembered, so that none is accepted twice.")?,
            calls_limit: register.gauge("calls_in_flight_limit", "Most calls in flight: limits.calls, or what the limit of open files allows.")?,
            body_bytes: register.gauge("body_bytes", "Bytes of request bodies in memory, and of answers that must be read whole.")?,
            body_bytes_limit: register.gauge("body_bytes_limit", "The most of them (limits.bodies_bytes).")?,
            connections_closed: register.counters(
                "connections_closed_total",
                "Client connections closed before a request was read, by cause.",
                &["cause"],
            )?,
            accept_errors: register.counter(
                "accept_errors_total",
                "Errors of accepting client connections; the usual cause is the limit of open files.",
            )?,
            upstream_errors: register.counters("upstream_errors_total", "Upstream failures, by resource and kind of failure.", &["resource", "kind"])?,
            upstream_retries: register.counters(
                "upstream_retries_total",
                "Requests that only read and were sent again, because a kept connection to the upstream was closed before the answer, by resource.",
                &["resource"],
            )?,
            endpoint_calls: register.counters(
                "endpoint_calls_total",
                "Requests sent to an endpoint of an upstream, by resource, endpoint (its URL, or a number where a name is resolved) and outcome: answered, failed (no connection, no answer, or 502, 503 or 504), unknown (the wait was ended, or a kept connection closed).",
                &["resource", "endpoint", "outcome"],
            )?,
            endpoint_calls_in_flight: register.gauges("endpoint_calls_in_flight", "Calls that an endpoint is at work on, by resource and endpoint; without listening streams.", &["resource", "endpoint"])?,
            endpoint_calls_waiting: register.gauges("endpoint_calls_waiting", "Calls that wait because every endpoint has max_calls, by resource.", &["resource"])?,
            endpoint_usable: register.gauges("endpoint_usable", "1 while an endpoint gets calls, 0 while it is ejected or health checks find it dead, by resource and endpoint.", &["resource", "endpoint"])?,
            endpoint_ejections: register.counters("endpoint_ejections_total", "Times that an endpoint was left out because calls to it failed, by resource and endpoint.", &["resource", "endpoint"])?,
            endpoint_retries: register.counters("endpoint_retries_total", "Requests that were sent to another endpoint, because the first one could not be reached, or failed or did not answer in its turn and the request only reads, by resource.", &["resource"])?,
            endpoint_resolutions: register.counters("endpoint_resolutions_total", "Lookups of the name of an upstream whose addresses are endpoints, by resource and result (ok or failed).", &["resource", "result"])?,
            jwks_fetches: register.counters("jwks_fetches_total", "Key set fetches, by issuer and result (ok, or the kind of failure).", &["issuer", "result"])?,
            jwks_age: register.values("jwks_age_seconds", "Seconds since the last successful key set fetch of an issuer, or since the start if there was none.", &["issuer"])?,
            jwks_keys_rejected: register.counters(
                "jwks_keys_rejected_total",
                "Keys of fetched key sets that cannot be used, by issuer and reason.",
                &["issuer", "reason"],
            )?,
            token_cache: register.counters("token_cache_total", "Lookups in the cache of verified tokens, by result (hit or miss).", &["result"])?,
            introspections: register.counters(
                "introspections_total",
                "Tokens about which an issuer was to be asked, by issuer and result: active, inactive, refused (active, but not for the resource), unusable (an answer that says nothing), failed (no answer); and those without a question: remembered (refused a moment ago), busy, paused (after failures).",
                &["issuer", "result"],
            )?,
            introspection_duration: register.durations("introspection_duration_seconds", "Seconds from a question about a token to its answer, by issuer.", &["issuer"])?,
            introspection_paused: register.gauges("introspection_paused", "1 while an issuer is not asked about tokens because it failed, by issuer.", &["issuer"])?,
            config_reloads: register.counters(
                "config_reloads_total",
                "Configuration reloads, by result: accepted, or rejected (the previous configuration stays in use).",
                &["result"],
            )?,
            config_last_reload: register.value(
                "config_last_reload_timestamp_seconds",
                "Unix time in seconds at which the configuration in use was loaded.",
            )?,
            config_last_reload_successful: register.gauge(
                "config_last_reload_successful",
                "1 if the last configuration reload was accepted, 0 if it was rejected: a restart would fail then.",
            )?,
            certificate_expiry: register.values(
                "certificate_expiry_timestamp_seconds",
                "Unix time in seconds at which a certificate expires, by listener address and certificate file.",
                &["listener", "certificate"],
            )?,
            log_lines_dropped: register.counter(
                "log_lines_dropped_total",
                "Log lines dropped because writing to standard output failed or was too slow.",
            )?,
            audit_lines_dropped: register.counter(
                "audit_lines_dropped_total",
                "Audit lines dropped because writing the audit log failed or was too slow.",
            )?,
            store_connected: register.gauges("store_connected", "1 while there is a connection to a store that several gateways share, 0 while there is none, by the section of the configuration that names it.", &["store"])?,
            rate_limit_store_failures: register.counter("rate_limit_store_failures_total", "Questions to the store of the rate limits that were not answered in time. Afterwards it is not asked for a second.")?,
            decision_point_questions: register.counters(
                "decision_point_questions_total",
                "Questions to decision points, by decision point and outcome: yes, no, cached (an answer from the cache), no_answer, wrong_answer (not a decision), full (not asked, decision_points.*.questions).",
                &["decision_point", "outcome"],
            )?,
            decision_point_duration: register.durations(
                "decision_point_duration_seconds",
                "Seconds from a question to a decision point, or several in one, to the answer, by decision point; waits for a place are included.",
                &["decision_point"],
            )?,
            upstream_credentials: register.counters(
                "upstream_credentials_total",
                "Tokens for upstreams that calls needed, by resource and result: cached, issued, refused (the token of the caller is not exchanged), failed (the token endpoint did not issue one); and those that were not asked for: remembered (refused a moment ago), full (too many exchanges), paused (after failures). forgotten: the upstream refused a cached token.",
                &["resource", "result"],
            )?,
            upstream_credential_duration: register.durations(
                "upstream_credential_duration_seconds",
                "Seconds from a question to the token endpoint of an upstream to its answer, by resource.",
                &["resource"],
            )?,
            oauth_refused_requests: register.counters(
                "oauth_refused_requests_total",
                "Requests that the authorization server refused at its other endpoints (authorization, introspection), by endpoint and error.",
                &["endpoint", "error"],
            )?,
            oauth_sign_ins: register.counters("oauth_sign_ins_total", "Sign-ins at the authorization server, by outcome.", &["outcome"])?,
            oauth_consents: register.counters("oauth_consents_total", "Answers on its consent page, by decision.", &["decision"])?,
            oauth_registrations: register.counters(
                "oauth_registrations_total",
                "Registrations of clients, and changes of them, by outcome: what was done, or the error.",
                &["outcome"],
            )?,
            oauth_tokens: register.counters(
                "oauth_tokens_total",
                "Token requests, by grant type and outcome: issued, or the error.",
                &["grant_type", "outcome"],
            )?,
            oauth_revocations: register.counters("oauth_revocations_total", "Revocation requests of clients, by outcome.", &["outcome"])?,
            oauth_store_commits: register.counter("oauth_store_commits_total", "Durable commits of the store of the authorization server. One has all changes that waited.")?,
            oauth_store_changes: register.counter("oauth_store_changes_total", "Changes in these commits.")?,
            oauth_store_failures: register.counter("oauth_store_failures_total", "Commits that failed: the disk is full, for example.")?,
            oauth_store_waiting: register.gauge("oauth_store_waiting", "Changes that wait for a commit.")?,
            oauth_store_round_trips: register.counter("oauth_store_round_trips_total", "Questions to a store that several gateways share.")?,
            oauth_store_conflicts: register.counter("oauth_store_conflicts_total", "Questions after which a change ran again, since rows were not as this gateway saw them last.")?,
            oauth_store_connections_lost: register.counter("oauth_store_connections_lost_total", "Connections to a store that several gateways share, which were lost.")?,
            registry: register.registry,
        };
        metrics.build_info()?;
        Ok(metrics)
    }

    /// All metrics in the Prometheus text format.
    pub(crate) fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }

    /// Notes whether there is a connection to the store that this section of the configuration names.
    pub(crate) fn observe_store(&self, section: &'static str, is_connected: bool) {
        let connected = self.store_connected.with_label_values(&[section]);
        connected.set(i64::from(is_connected));
    }

    fn build_info(&self) -> Result<(), prometheus::Error> {
        let info = IntGaugeVec::new(
            Opts::new(
                "build_info",
                "Always 1; the label is the version of the gateway.",
            ),
            &["version"],
        )?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        self.registry.register(Box::new(info))
    }
}

/// Counts something open in a gauge, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(IntGauge);

impl Counted {
    pub(crate) fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The label of a status: itself if RFC 9110 or nginx defines it, else its class. An upstream may answer with any number.
pub(crate) fn status_label(status: u16) -> &'static str {
    let known = STATUSES.binary_search_by_key(&status, |(known, _)| *known);
    match known.ok().and_then(|index| STATUSES.get(index)) {
        Some((_, label)) => label,
        None if status < 200 => "1xx",
        None if status < 300 => "2xx",
        None if status < 400 => "3xx",
        None if status < 500 => "4xx",
        None => "5xx",
    }
}

/// The label of a message's method; `none` for a request without a message.
pub(crate) fn method_label(method: Option<McpMethod>) -> &'static str {
    method.map_or("none", McpMethod::label)
}

const NAMESPACE: &str = "mcp_gateway";

/// Creates metrics and registers them, so that each is named once.
struct Registrar {
    registry: Registry,
}

type Made<T> = Result<T, prometheus::Error>;

impl Registrar {
    fn new() -> Made<Self> {
        Ok(Self {
            registry: Registry::new_custom(Some(NAMESPACE.into()), None)?,
        })
    }

    fn keep<M: prometheus::core::Collector + Clone + 'static>(&self, metric: M) -> Made<M> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        self.keep(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn counter(&self, name: &str, help: &str) -> Made<IntCounter> {
        self.keep(IntCounter::new(name, help)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        self.keep(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Made<IntGauge> {
        self.keep(IntGauge::new(name, help)?)
    }

    fn values(&self, name: &str, help: &str, labels: &[&str]) -> Made<GaugeVec> {
        self.keep(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn value(&self, name: &str, help: &str) -> Made<Gauge> {
        self.keep(Gauge::new(name, help)?)
    }

    fn durations(&self, name: &str, help: &str, labels: &[&str]) -> Made<HistogramVec> {
        let options = HistogramOpts::new(name, help).buckets(DURATION_BUCKETS.to_vec());
        self.keep(HistogramVec::new(options, labels)?)
    }

    fn authentication(&self) -> Made<Histogram> {
        let options = HistogramOpts::new(
            "authentication_duration_seconds",
            "Seconds from reading the bearer token to its verified principal, waits for keys included.",
        );
        self.keep(Histogram::with_opts(
            options.buckets(AUTHENTICATION_BUCKETS.to_vec()),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use mcp_gateway_core::refusal::reason::Reason;

    use super::*;

    #[test]
    fn method_labels_are_a_closed_set() {
        let method_label = |name: Option<&str>| method_label(name.map(McpMethod::of));
        assert_eq!(method_label(Some("tools/call")), "tools/call");
        assert_eq!(method_label(Some("tools/call\n")), "other");
        assert_eq!(method_label(Some("notifications/anything")), "notification");
        assert_eq!(method_label(None), "none");
    }

    #[test]
    fn status_labels_are_a_closed_set() {
        assert!(STATUSES.is_sorted());
        for (status, label) in [
            (200, "200"),
            (299, "2xx"),
            (399, "3xx"),
            (418, "4xx"),
            (499, "499"),
            (503, "503"),
            (599, "5xx"),
            (999, "5xx"),
            (103, "1xx"),
        ] {
            assert_eq!(status_label(status), label);
        }
        let labels: std::collections::HashSet<_> = (100..1000).map(status_label).collect();
        assert_eq!(labels.len(), STATUSES.len() + 5);
    }

    #[test]
    fn metrics_carry_the_prefix() {
        let metrics = Metrics::new().unwrap();
        metrics.count_refusal(NO_RESOURCE, Reason::NotFound);
        let text = metrics.render();
        assert!(
            text.contains("mcp_gateway_refusals_total{reason=\"not_found\",resource=\"none\"} 1")
        );
        assert!(text.contains("mcp_gateway_build_info{version="));
    }
}
