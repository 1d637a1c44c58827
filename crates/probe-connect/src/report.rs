//! From a reading to metric families: what each number is called. The README lists them.

use probe::{
    accounting::{add_attached, add_hits, add_lost, add_map, gauge},
    metrics::{Families, Labels, Value},
};

use crate::{
    kernel::{Config, HOOK, Reading, SeriesKey},
    types::{RETRANSMIT_NAMES, VERDICT_NAMES, family_name, outcome_name},
};

const PROBE: &str = "connect";

/// Adds one probe's reading to the families of a scrape. `proven` says whether its hook was seen to fire.
pub fn add(families: &mut Families, config: &Config, proven: bool, reading: &Reading) {
    add_attempts(families, config, reading);
    add_hits(families, PROBE, &VERDICT_NAMES, &reading.hits);
    add_lost(families, PROBE, "no_end", reading.unended);
    add_lost(families, PROBE, "ring_full", reading.events_lost);
    add_attached(families, PROBE, HOOK, proven);
    let capacity = u64::from(config.max_pending);
    add_map(families, PROBE, "attempts", reading.pending, capacity);
    let capacity = u64::from(config.max_series);
    add_map(families, PROBE, "histograms", reading.kernel_series, capacity);
}

fn labels(key: &SeriesKey) -> Labels {
    let mut labels = probe::metrics::labels([
        ("outcome", outcome_name(key.outcome)),
        ("family", family_name(key.family)),
    ]);
    if let Some(cgroup) = &key.cgroup {
        labels.insert("cgroup", cgroup.clone());
    }
    labels
}

fn add_attempts(families: &mut Families, config: &Config, reading: &Reading) {
    for (key, series) in &reading.series {
        let retransmits = RETRANSMIT_NAMES.get(usize::from(key.retransmits));
        let mut with_retransmits = labels(key);
        with_retransmits.insert("syn_retransmits", retransmits.copied().unwrap_or("3+").to_owned());
        families.add(
            "tcp_connect_duration_seconds",
            "From the first SYN of a connection attempt to its end, however it ends.",
            with_retransmits,
            Value::Histogram(series.duration.clone()),
        );
        families.add(
            "tcp_connects",
            "Connection attempts that ended.",
            labels(key),
            Value::Counter(series.duration.count()),
        );
        families.add(
            "tcp_connect_syn_retransmits",
            "SYNs that were sent again.",
            labels(key),
            Value::Counter(series.retransmits),
        );
        if config.slow.is_some() {
            families.add(
                "tcp_connect_slow",
                "Connection attempts that took longer than the configured threshold.",
                labels(key),
                Value::Counter(series.slow),
            );
        }
    }
    families.add(
        "tcp_connects_pending",
        "Connection attempts that have begun and not ended.",
        Labels::new(),
        gauge(reading.pending),
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kernel::Series;

    fn config(slow: Option<Duration>) -> Config {
        Config {
            max_pending: 8,
            max_series: 16,
            per_cgroup: true,
            slow,
            events_from: None,
            ring_buffer_bytes: 4096,
            give_up: Duration::from_secs(1),
            control: None,
        }
    }

    #[test]
    fn classes_of_repeated_syns_add_up_where_they_are_no_label() {
        let mut reading = Reading::default();
        for (class, retransmits, duration_ns) in [(0, 0, 100_000), (1, 1, 1_000_100_000)] {
            let key = SeriesKey {
                cgroup: Some("/shop".to_owned()),
                outcome: 0,
                family: 6,
                retransmits: class,
            };
            let mut series = Series::default();
            series.duration.record_ns(duration_ns);
            series.retransmits = retransmits;
            series.slow = u64::from(class > 0);
            reading.series.insert(key, series);
        }
        let mut families = Families::default();
        add(
            &mut families,
            &config(Some(Duration::from_millis(5))),
            true,
            &reading,
        );
        let text = families.to_openmetrics();
        let labels = "cgroup=\"/shop\",family=\"ipv6\",outcome=\"success\"";
        for line in [
            format!("tcp_connects_total{{{labels}}} 2\n"),
            format!("tcp_connect_slow_total{{{labels}}} 1\n"),
            format!("tcp_connect_syn_retransmits_total{{{labels}}} 1\n"),
            format!("tcp_connect_duration_seconds_count{{{labels},syn_retransmits=\"1\"}} 1\n"),
            format!(
                "tcp_connect_duration_seconds_bucket{{le=\"0.0001\",{labels},syn_retransmits=\"0\"}} 1\n"
            ),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn nothing_is_slow_without_a_threshold() {
        let mut reading = Reading::default();
        let key = SeriesKey {
            cgroup: None,
            outcome: 1,
            family: 4,
            retransmits: 0,
        };
        reading.series.insert(key, Series::default());
        let mut families = Families::default();
        add(&mut families, &config(None), true, &reading);
        assert!(!families.to_openmetrics().contains("tcp_connect_slow"));
    }
}
