//! What has been counted so far: the sum of the kernel half's counters and of the user-space path's. Plain data.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use probe::histogram::Histogram;

use crate::bounds::Bounds;
use crate::types::{
    HTTP_OUTCOME_COMPLETE, HTTP_OUTCOMES, HTTP_UNPARSED_KINDS, http_counters, http_exchange, http_histogram,
    http_key,
};

/// Duration and time to first byte of the requests of one method and status.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    /// From a request's first byte to its response's last.
    pub duration: Histogram,
    /// From a request's first byte to the first byte of its final response.
    pub first_byte: Histogram,
}

impl Latency {
    fn new(bounds: &Bounds) -> Self {
        let empty = Histogram::new(bounds.seconds());
        Self {
            duration: empty.clone(),
            first_byte: empty,
        }
    }
}

/// One finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange {
    /// When its response ended, in nanoseconds of the monotonic clock.
    pub end_ns: u64,
    /// When its first byte arrived.
    pub start_ns: u64,
    /// When the first byte of the final response was sent.
    pub first_byte_ns: u64,
    /// The client's end of the connection.
    pub client: SocketAddr,
    /// Which request of its connection it was, from 1.
    pub number: u32,
    /// `HTTP_METHOD_*`.
    pub method: u8,
    /// Status of the final response.
    pub status: u16,
}

impl Exchange {
    /// From the request's first byte to the response's last.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// From the request's first byte to the first byte of its final response.
    pub fn time_to_first_byte_ns(&self) -> u64 {
        self.first_byte_ns.saturating_sub(self.start_ns)
    }
}

/// The client's address out of a connection's key.
pub fn client(key: &http_key) -> SocketAddr {
    let ip = if key.family == 4 {
        let [a, b, c, d, ..] = key.client;
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        IpAddr::V6(Ipv6Addr::from(key.client))
    };
    SocketAddr::new(ip, key.client_port)
}

impl From<&http_exchange> for Exchange {
    fn from(exchange: &http_exchange) -> Self {
        Self {
            end_ns: exchange.end_ns,
            start_ns: exchange.start_ns,
            first_byte_ns: exchange.first_byte_ns,
            client: client(&exchange.key),
            number: exchange.number,
            method: exchange.method,
            status: exchange.status,
        }
    }
}

/// Counts of requests by how they ended, with their latencies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Of all latencies.
    bounds: Bounds,
    /// By method (`HTTP_METHOD_*`) and status.
    pub latencies: BTreeMap<(u8, u16), Latency>,
    /// By `HTTP_OUTCOME_*`.
    pub outcomes: [u64; HTTP_OUTCOMES as usize],
    /// By `HTTP_UNPARSED_*`.
    pub unparsed: [u64; HTTP_UNPARSED_KINDS as usize],
    /// Requests whose start line was read.
    pub started: u64,
    /// Connections the kernel half gave up on.
    pub handovers: u64,
    /// Exchanges missing from the log because its buffer was full.
    pub exchanges_lost: u64,
}

impl Tally {
    /// An empty one. The default has the advised bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            ..Self::default()
        }
    }

    fn latency(&mut self, method: u8, status: u16) -> &mut Latency {
        self.latencies
            .entry((method, status))
            .or_insert_with(|| Latency::new(&self.bounds))
    }

    /// Counts a finished request.
    pub fn complete(&mut self, exchange: &Exchange) {
        let latency = self.latency(exchange.method, exchange.status);
        latency.duration.record_ns(exchange.duration_ns());
        latency.first_byte.record_ns(exchange.time_to_first_byte_ns());
        self.outcomes[HTTP_OUTCOME_COMPLETE as usize] += 1;
    }

    /// Counts `requests` that ended otherwise (`HTTP_OUTCOME_*`).
    pub fn settle(&mut self, outcome: u32, requests: usize) {
        self.outcomes[outcome as usize] += requests as u64;
    }

    /// Adds one CPU's counters of the kernel half.
    pub fn add_counters(&mut self, counters: &http_counters) {
        add(&mut self.outcomes, &counters.outcomes);
        add(&mut self.unparsed, &counters.unparsed);
        self.started += counters.started;
        self.handovers += counters.handovers;
        self.exchanges_lost += counters.exchanges_lost;
    }

    /// Adds one CPU's latencies of one method and status.
    pub fn add_histogram(&mut self, method: u8, status: u16, histogram: &http_histogram) {
        let latency = self.latency(method, status);
        latency
            .duration
            .add(&histogram.duration_buckets, u128::from(histogram.duration_sum_ns));
        latency.first_byte.add(
            &histogram.first_byte_buckets,
            u128::from(histogram.first_byte_sum_ns),
        );
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        for (key, theirs) in &other.latencies {
            let mine = self.latency(key.0, key.1);
            mine.duration.merge(&theirs.duration);
            mine.first_byte.merge(&theirs.first_byte);
        }
        add(&mut self.outcomes, &other.outcomes);
        add(&mut self.unparsed, &other.unparsed);
        self.started += other.started;
        self.handovers += other.handovers;
        self.exchanges_lost += other.exchanges_lost;
    }

    /// Requests that have neither ended nor been given up.
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.outcomes.iter().sum())
    }
}

fn add<const N: usize>(mine: &mut [u64; N], theirs: &[u64; N]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += theirs;
    }
}
