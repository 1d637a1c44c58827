//! From a reading to metric families: what each number is called. The README lists them.

use probe::accounting::{add_attached, add_hits, add_lost, add_map, add_programs, gauge};
use probe::metrics::{Families, Labels, Value, labels};

use crate::kernel::{Config, Reading};
use crate::types::{HTTP_MAX_SERIES, METHOD_NAMES, OUTCOME_NAMES, UNPARSED_NAMES, VERDICT_NAMES};

const PROBE: &str = "http";

/// Adds one probe's reading to the families of a scrape. Several probes' readings add up. `proven` says whether its hook
/// was seen to fire.
pub fn add(families: &mut Families, config: &Config, proven: bool, reading: &Reading) {
    add_requests(families, reading);
    add_packets(families, reading);
    let hook = format!("socket:{}", config.interface.name);
    add_attached(families, PROBE, &hook, proven);
    add_map(
        families,
        PROBE,
        "connections",
        reading.connections,
        u64::from(config.max_connections),
    );
    add_map(
        families,
        PROBE,
        "histograms",
        reading.series,
        u64::from(HTTP_MAX_SERIES),
    );
}

fn add_requests(families: &mut Families, reading: &Reading) {
    for ((method, status), latency) in &reading.tally.latencies {
        let status = status.to_string();
        let method = METHOD_NAMES
            .get(usize::from(*method))
            .copied()
            .unwrap_or("_OTHER");
        let labels = || {
            labels([
                ("http_request_method", method),
                ("http_response_status_code", &status),
                ("url_scheme", "http"),
            ])
        };
        families.add(
            "http_server_request_duration_seconds",
            "From a request's first byte to its response's last.",
            labels(),
            Value::Histogram(latency.duration.clone()),
        );
        families.add(
            "http_server_time_to_first_byte_seconds",
            "From a request's first byte to the first byte of its final response.",
            labels(),
            Value::Histogram(latency.first_byte.clone()),
        );
    }
    for ((kind, label), count) in OUTCOME_NAMES.iter().zip(reading.tally.outcomes) {
        match *kind {
            "aborted" => families.add(
                "http_server_requests_aborted",
                "Requests whose connection was given up before the response was whole, by whom.",
                labels([("by", label)]),
                Value::Counter(count),
            ),
            "unknown" => families.add(
                "http_server_requests_unknown",
                "Requests whose outcome could not be observed, by reason.",
                labels([("reason", label)]),
                Value::Counter(count),
            ),
            _ => {}
        }
    }
    for (kind, count) in UNPARSED_NAMES.iter().zip(reading.tally.unparsed).skip(1) {
        families.add(
            "http_server_unparsed",
            "Connections that carried something else than HTTP/1.x, by what was found.",
            labels([("kind", kind)]),
            Value::Counter(count),
        );
    }
    families.add(
        "http_server_requests_in_flight",
        "Requests that have begun and not ended.",
        Labels::new(),
        gauge(reading.tally.in_flight()),
    );
}

fn add_packets(families: &mut Families, reading: &Reading) {
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    add_lost(families, PROBE, "exchange_log_full", reading.tally.exchanges_lost);
    if let Some(empty) = reading.empty {
        add_programs(families, PROBE, &[("empty", empty)]);
    }
    for (program, stats) in &reading.tail_called {
        // The kernel charges a tail-called program's runs and time to the program that called it.
        if let Some(instructions) = stats.verified_instructions {
            families.add(
                "probelab_program_verified_instructions",
                "Instructions the kernel's verifier walked for a BPF program.",
                labels([("probe", PROBE), ("program", program)]),
                gauge(u64::from(instructions)),
            );
        }
    }
    families.add(
        "probelab_handovers",
        "Connections that moved from the kernel half to user space.",
        labels([("probe", PROBE)]),
        Value::Counter(reading.tally.handovers),
    );
    families.add(
        "probelab_user_space_connections",
        "Connections followed in user space.",
        labels([("probe", PROBE)]),
        gauge(reading.slow_connections),
    );
    families.add(
        "probelab_socket_drops",
        "Packets a probe's packet socket dropped. It queues none, so anything but 0 is a defect.",
        Labels::new(),
        Value::Counter(reading.socket_drops),
    );
}
