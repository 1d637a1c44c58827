//! What a window is measured by: the features, the probes that measure them and the series they are made of.
//!
//! A feature is only measured while a probe of it is attached (`probelab_attached`). So "nothing happened", which is a
//! zero, and "nobody looked", which is no number, are told apart although both look like a series that is not there.

use exposition::Series;

/// One number of a window.
#[derive(Debug, PartialEq)]
pub struct Feature {
    /// Its name in models and messages, with its unit.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// The least change that means something, in the feature's unit. A feature that varies less in training is scaled
    /// by this instead: one that never moved would else be infinitely far away at its first twitch.
    pub(crate) least: f64,
    /// Where it comes from. The first source whose probe is attached is read.
    pub(crate) sources: &'static [Source],
}

/// A probe and what of its series is read.
#[derive(Debug, PartialEq)]
pub(crate) struct Source {
    /// As `probelab_attached` names it.
    pub(crate) probe: &'static str,
    pub(crate) measure: Measure,
}

/// How a feature is made of series.
#[derive(Debug, PartialEq)]
pub(crate) enum Measure {
    /// Increase per second of a counter, over all its series.
    Rate { series: &'static str, having: Having },
    /// The 99th percentile of what a histogram counted meanwhile, over all its series, in its unit. Zero when it
    /// counted nothing: nobody waited.
    P99 { histogram: &'static str },
}

/// Which series of a name count.
#[derive(Debug, PartialEq)]
pub(crate) enum Having {
    All,
    /// Those with this label of this value.
    Label(&'static str, &'static str),
    /// Those with this label beginning so.
    Prefix(&'static str, &'static str),
}

impl Having {
    fn has(&self, series: &Series) -> bool {
        let value = |label: &str| series.labels.get(label).map_or("", String::as_str);
        match self {
            Self::All => true,
            Self::Label(label, wanted) => value(label) == *wanted,
            Self::Prefix(label, wanted) => value(label).starts_with(wanted),
        }
    }
}

const ACTIVITY: &str = "activity";
const BLOCKLIST: &str = "blocklist";
const DROP: &str = "drop";
const VERDICT: &str = "verdict";
const XDP_PACKETS: &str = "xdp_packets_total";
const DROP_PACKETS: &str = "drop_packets_total";

/// All features, in the order of a window's values.
pub static FEATURES: [Feature; 7] = [
    Feature {
        name: "execs_per_second",
        help: "programs executed, or tried to",
        least: 1.0,
        sources: &[rate(ACTIVITY, "exec_total", Having::All)],
    },
    Feature {
        name: "opens_per_second",
        help: "files opened, or tried to",
        least: 10.0,
        sources: &[rate(ACTIVITY, "open_total", Having::All)],
    },
    Feature {
        name: PACKETS,
        help: "packets that reach the network stack",
        least: 10.0,
        sources: &[
            rate(DROP, DROP_PACKETS, Having::All),
            rate(BLOCKLIST, XDP_PACKETS, Having::Label(VERDICT, "pass")),
        ],
    },
    Feature {
        name: "drops_per_second",
        help: "packets dropped by the blocklist, or else discarded by the filter",
        least: 1.0,
        sources: &[
            rate(BLOCKLIST, XDP_PACKETS, Having::Label(VERDICT, "drop")),
            rate(DROP, DROP_PACKETS, Having::Label(VERDICT, "discarded")),
        ],
    },
    Feature {
        name: "runq_p99_seconds",
        help: "99 of 100 waits for a processor were shorter",
        least: 0.001,
        sources: &[p99("runq", "runq_latency_seconds")],
    },
    Feature {
        name: "connect_p99_seconds",
        help: "99 of 100 TCP connection attempts were shorter",
        least: 0.001,
        sources: &[p99("connect", "tcp_connect_duration_seconds")],
    },
    Feature {
        name: "http_errors_per_second",
        help: "responses with a status of 500 and above",
        least: 0.1,
        sources: &[rate(
            "http",
            "http_server_request_duration_seconds_count",
            Having::Prefix("http_response_status_code", "5"),
        )],
    },
];

/// The feature whose course [`crate::Trend`] is meant for.
pub(crate) const PACKETS: &str = "packets_per_second";

const fn rate(probe: &'static str, series: &'static str, having: Having) -> Source {
    Source {
        probe,
        measure: Measure::Rate { series, having },
    }
}

const fn p99(probe: &'static str, histogram: &'static str) -> Source {
    Source {
        probe,
        measure: Measure::P99 { histogram },
    }
}

impl Feature {
    /// The feature of a name.
    pub fn named(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|feature| feature.name == name)
    }
}

/// What a probe has counted of a feature since it began.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Total {
    Count(f64),
    /// Upper bounds, increasing, with how many values were at most that.
    Buckets(Vec<(f64, f64)>),
}

impl Source {
    fn is_attached(&self, series: &[Series]) -> bool {
        series.iter().any(|series| {
            series.name == "probelab_attached"
                && series.value > 0.0
                && series
                    .labels
                    .get("probe")
                    .is_some_and(|probe| probe == self.probe)
        })
    }

    fn total(&self, all: &[Series]) -> Total {
        match &self.measure {
            Measure::Rate { series: name, having } => {
                let counted = all
                    .iter()
                    .filter(|series| series.name == *name && having.has(series));
                Total::Count(counted.map(|series| series.value).sum())
            }
            Measure::P99 { histogram } => Total::Buckets(buckets(histogram, all)),
        }
    }
}

/// The buckets of a histogram, its series added up. A bound that cannot be read belongs to no histogram of ours.
fn buckets(histogram: &str, all: &[Series]) -> Vec<(f64, f64)> {
    let mut buckets: Vec<(f64, f64)> = Vec::new();
    for series in all {
        if series.name.strip_suffix("_bucket") != Some(histogram) {
            continue;
        }
        let Some(bound) = series.labels.get("le").and_then(|le| le.parse().ok()) else {
            continue;
        };
        match buckets.iter_mut().find(|(known, _)| *known == bound) {
            Some((_, count)) => *count += series.value,
            None => buckets.push((bound, series.value)),
        }
    }
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    buckets
}

/// What a scrape says of a feature; nothing when no probe of it is attached.
pub(crate) fn total(feature: &Feature, series: &[Series]) -> Option<Total> {
    let source = feature.sources.iter().find(|source| source.is_attached(series))?;
    Some(source.total(series))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for feature in &FEATURES {
            assert!(std::ptr::eq(Feature::named(feature.name).unwrap(), feature));
        }
        assert!(Feature::named("weather").is_none());
    }

    #[test]
    fn plus_infinity_is_the_last_bucket() {
        let bucket = |le: &str, value| Series::new("x_seconds_bucket", [("le", le.to_owned())], value);
        let all = [bucket("+Inf", 3.0), bucket("0.5", 1.0), bucket("0.5", 1.0)];
        assert_eq!(buckets("x_seconds", &all), [(0.5, 2.0), (f64::INFINITY, 3.0)]);
    }
}
