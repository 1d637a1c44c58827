//! From a reading to metric families: what each number is called. The README lists them.

use probe::metrics::{Families, Labels, Value, labels};

use crate::kernel::{Config, PROGRAMS, Reading};
use crate::types::{HTTP_MAX_SERIES, METHOD_NAMES, OUTCOME_NAMES, UNPARSED_NAMES, VERDICT_NAMES};

/// Adds one probe's reading to the families of a scrape. Several probes' readings add up.
pub fn add(families: &mut Families, config: &Config, reading: &Reading) {
    add_requests(families, reading);
    add_packets(families, reading);
    add_programs(families, reading);
    let hook = format!("socket:{}", config.interface.name);
    families.add(
        "probelab_attached",
        "Whether a probe is attached to a hook.",
        labels([("probe", "http"), ("hook", &hook)]),
        Value::Gauge(1),
    );
    for (map, entries, max_entries) in [
        (
            "connections",
            reading.connections,
            u64::from(config.max_connections),
        ),
        ("histograms", reading.series, u64::from(HTTP_MAX_SERIES)),
    ] {
        let labels = || labels([("probe", "http"), ("map", map)]);
        families.add(
            "probelab_map_entries",
            "Entries in a BPF map.",
            labels(),
            gauge(entries),
        );
        families.add(
            "probelab_map_max_entries",
            "Entries a BPF map can hold.",
            labels(),
            gauge(max_entries),
        );
    }
}

fn gauge(value: u64) -> Value {
    Value::Gauge(i64::try_from(value).unwrap_or(i64::MAX))
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
    let lost = |families: &mut Families, reason: &str, count| {
        families.add(
            "probelab_lost",
            "Hook hits or records a probe could not use, by reason.",
            labels([("probe", "http"), ("reason", reason)]),
            Value::Counter(count),
        );
    };
    for ((verdict, reason), count) in VERDICT_NAMES.iter().zip(reading.verdicts) {
        families.add(
            "probelab_packets",
            "Packets a probe's program saw, by what it did with them.",
            labels([("probe", "http"), ("verdict", verdict), ("reason", reason)]),
            Value::Counter(count),
        );
        if *verdict == "lost" {
            lost(families, reason, count);
        }
    }
    lost(families, "exchange_log_full", reading.tally.exchanges_lost);
    families.add(
        "probelab_hits_unaccounted",
        "Runs of a probe's program that no verdict explains. Anything but 0 is a defect.",
        labels([("probe", "http")]),
        gauge(reading.unaccounted),
    );
    families.add(
        "probelab_handovers",
        "Connections that moved from the kernel half to user space.",
        labels([("probe", "http")]),
        Value::Counter(reading.tally.handovers),
    );
    families.add(
        "probelab_user_space_connections",
        "Connections followed in user space.",
        labels([("probe", "http")]),
        gauge(reading.slow_connections),
    );
    families.add(
        "probelab_socket_drops",
        "Packets a probe's packet socket dropped. It queues none, so anything but 0 is a defect.",
        Labels::new(),
        Value::Counter(reading.socket_drops),
    );
}

fn add_programs(families: &mut Families, reading: &Reading) {
    for (program, stats) in &reading.programs {
        // The kernel charges a tail-called program's runs and time to the program that called it.
        if PROGRAMS[1..].contains(program) {
            continue;
        }
        let labels = || labels([("probe", "http"), ("program", program)]);
        families.add(
            "probelab_program_runs",
            "Runs of a BPF program, as the kernel counts them.",
            labels(),
            Value::Counter(stats.runs),
        );
        families.add(
            "probelab_program_run_time_seconds",
            "Time spent in a BPF program, as the kernel counts it.",
            labels(),
            Value::CounterSeconds(stats.run_time_ns as f64 / 1e9),
        );
    }
    for (program, stats) in &reading.programs {
        if let Some(instructions) = stats.verified_instructions {
            families.add(
                "probelab_program_verified_instructions",
                "Instructions the kernel's verifier walked for a BPF program.",
                labels([("probe", "http"), ("program", program)]),
                gauge(u64::from(instructions)),
            );
        }
    }
}
