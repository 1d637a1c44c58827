//! The types shared with the kernel half, from `bpf/http.h` by bindgen. Nothing is declared here a second time; this
//! module only gives numbers their names.

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// Names of `enum http_method`, as OpenTelemetry writes them.
pub const METHOD_NAMES: [&str; HTTP_METHODS as usize] = [
    "_OTHER", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

/// Names of `enum http_unparsed`; the first stands for none.
pub const UNPARSED_NAMES: [&str; HTTP_UNPARSED_KINDS as usize] = [
    "none",
    "tls",
    "http09",
    "http2",
    "request",
    "response",
    "unsolicited_response",
    "incomplete_request",
];

/// What `enum http_outcome` is exposed as: the family's kind and its label.
pub const OUTCOME_NAMES: [(&str, &str); HTTP_OUTCOMES as usize] = [
    ("complete", ""),
    ("aborted", "client"),
    ("aborted", "server"),
    ("unknown", "gap"),
    ("unknown", "port_reuse"),
    ("unknown", "expired"),
    ("unknown", "unparsed_response"),
    ("unknown", "fifo_full"),
    ("unknown", "series_full"),
];
