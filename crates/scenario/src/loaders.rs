//! Whether two runs that differ only in the loader say the same.
//!
//! The programs are the same, so both must show the same families with the same labels. Their values are each judged
//! against the oracles of their own run. They are set side by side here and not judged again: loading takes another
//! while with each library, which shifts the guest's time, and with it what a load of so many seconds, a lossy link or a
//! busy processor does.

use std::collections::{BTreeMap, BTreeSet};

use wire::{Loader, Output};

use crate::{ExpectationResult, Series, compare::list, lab, read_openmetrics, text::count};

/// Name of the expectation that both runs of a pair get.
const NAME: &str = "both loaders agree";
/// Families that speak of the loading; a loader need not even have their series.
const OF_LOADING: [&str; 3] = [
    "probelab_build_info",
    "probelab_program_run_time_seconds",
    "probelab_program_verified_instructions",
];
/// Counters that begin with the attachment and not with the load.
const OF_ATTACHMENT: [&str; 3] = ["probelab_program_", "probelab_packets", "probelab_hits"];

/// The outputs of one run and the loader it had.
pub type OfLoader<'a> = (Loader, &'a BTreeMap<String, Output>);

type Values = BTreeMap<String, f64>;

/// What a scrape says: the families with the names of their labels, and each series' value.
struct Said {
    families: BTreeSet<String>,
    values: Values,
}

/// Compares what the daemon served in two runs: families and names of labels, which must be equal, and the values of
/// counters, whose differences are told.
pub fn loaders_agree(one: OfLoader<'_>, other: OfLoader<'_>) -> ExpectationResult {
    let (held, compared, evidence) = match (said(one), said(other)) {
        (Ok(of_one), Ok(of_other)) => decide((one.0, &of_one), (other.0, &of_other)),
        (Err(reason), _) | (_, Err(reason)) => (false, 0, format!("nothing to compare: {reason}")),
    };
    ExpectationResult {
        name: NAME.to_owned(),
        held: held && compared > 0,
        must_fail: false,
        compared: compared as u64,
        evidence,
    }
}

fn decide((one, of_one): (Loader, &Said), (other, of_other): (Loader, &Said)) -> (bool, usize, String) {
    let shared = of_one.families.intersection(&of_other.families).count();
    let mut line = format!("{one} and {other}: {} in both", families(shared));
    let mut agrees = true;
    for (loader, has, lacks) in [(one, of_one, of_other), (other, of_other, of_one)] {
        let alone: Vec<String> = has.families.difference(&lacks.families).cloned().collect();
        if !alone.is_empty() {
            agrees = false;
            line.push_str(&format!("; {} only with {loader}: {}", alone.len(), list(&alone)));
        }
    }
    let counted: Vec<(&String, f64, f64)> = of_one
        .values
        .iter()
        .filter(|(name, _)| is_counted(name))
        .filter_map(|(name, value)| Some((name, *value, *of_other.values.get(name)?)))
        .collect();
    let differing: Vec<String> = counted
        .iter()
        .filter(|(_, of_one, of_other)| of_one != of_other)
        .map(|(name, of_one, of_other)| format!("{name}: {one} {of_one}, {other} {of_other}"))
        .collect();
    let equal = counted.len() - differing.len();
    line.push_str(&format!("; {equal} of {} equal", count(counted.len(), "counter")));
    if !differing.is_empty() {
        line.push_str(&format!(", these have another history: {}", list(&differing)));
    }
    (agrees, shared, line)
}

fn families(count: usize) -> String {
    match count {
        1 => "1 family".to_owned(),
        _ => format!("{count} families"),
    }
}

/// Whether the value of a series is a count that only the load decides.
fn is_counted(name: &str) -> bool {
    let family = name.split('{').next().unwrap_or(name);
    (family.ends_with("_total") || family.ends_with("_count"))
        && !family.ends_with("_seconds_total")
        && !OF_ATTACHMENT.iter().any(|prefix| family.starts_with(prefix))
}

/// What a run's daemon served.
fn said((loader, outputs): OfLoader<'_>) -> Result<Said, String> {
    let metrics = outputs
        .get(lab::METRICS)
        .ok_or_else(|| format!("the run with {loader} brought no output `{}`", lab::METRICS))?;
    let series = read_openmetrics(&metrics.text()).map_err(|error| format!("with {loader}: {error}"))?;
    let mut said = Said {
        families: BTreeSet::new(),
        values: Values::new(),
    };
    for series in series {
        if OF_LOADING.iter().any(|family| series.name.starts_with(family)) {
            continue;
        }
        let labels: Vec<&str> = series.labels.keys().map(String::as_str).collect();
        said.families
            .insert(format!("{}{{{}}}", series.name, labels.join(",")));
        said.values.insert(with_labels(&series), series.value);
    }
    Ok(said)
}

fn with_labels(series: &Series) -> String {
    let labels: Vec<String> = series
        .labels
        .iter()
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    format!("{}{{{}}}", series.name, labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = include_str!("../tests/fixtures/http-latency/metrics.om");

    fn agreed(libbpf: &str, aya: &str) -> String {
        let outputs = |text: &str| BTreeMap::from([("metrics".to_owned(), Output(text.into()))]);
        let (libbpf, aya) = (outputs(libbpf), outputs(aya));
        let result = loaders_agree((Loader::Libbpf, &libbpf), (Loader::Aya, &aya));
        format!("{} {}: {}", result.held, result.compared, result.evidence)
    }

    /// The metrics with the value of each series that starts like one of these rewritten.
    fn with(starts: &[&str], value: &str) -> String {
        let is_meant = |line: &str| starts.iter().any(|start| line.starts_with(start));
        assert!(METRICS.lines().any(is_meant), "no series {starts:?}");
        METRICS
            .lines()
            .map(|line| match line.rsplit_once(' ') {
                Some((series, _)) if is_meant(line) => format!("{series} {value}\n"),
                _ => format!("{line}\n"),
            })
            .collect()
    }

    fn without(family: &str) -> String {
        let kept = METRICS.lines().filter(|line| !line.contains(family));
        kept.flat_map(|line| [line, "\n"]).collect()
    }

    #[test]
    fn equal_runs_agree() {
        insta::assert_snapshot!(agreed(METRICS, METRICS), @"true 6: libbpf and aya: 6 families in both; 3 of 3 counters equal");
    }

    #[test]
    fn a_count_that_differs_is_told() {
        // The count of a histogram is that of its last bucket.
        let starts = [
            "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_response_status_code=\"500\"",
            "http_server_request_duration_seconds_bucket{le=\"+Inf\",http_request_method=\"GET\",http_response_status_code=\"500\"",
        ];
        let other = with(&starts, "3");
        insta::assert_snapshot!(agreed(METRICS, &other), @"true 6: libbpf and aya: 6 families in both; 2 of 3 counters equal, these have another history: http_server_request_duration_seconds_count{http_request_method=GET,http_response_status_code=500,url_scheme=http}: libbpf 2, aya 3");
    }

    #[test]
    fn a_family_that_only_one_has_is_seen() {
        let other = without("probelab_lost");
        insta::assert_snapshot!(agreed(METRICS, &other), @"false 5: libbpf and aya: 5 families in both; 1 only with libbpf: probelab_lost_total{probe,reason}; 2 of 2 counters equal");
        insta::assert_snapshot!(agreed(&other, METRICS), @"false 5: libbpf and aya: 5 families in both; 1 only with aya: probelab_lost_total{probe,reason}; 2 of 2 counters equal");
    }

    #[test]
    fn what_shifted_time_changes_is_not_compared() {
        for series in [
            "http_server_request_duration_seconds_sum",
            "http_server_request_duration_seconds_bucket{le=\"0.",
        ] {
            let words = agreed(METRICS, &with(&[series], "0"));
            assert!(words.starts_with("true "), "{words}");
        }
    }

    #[test]
    fn what_loading_and_attachment_decide_is_not_compared() {
        let with = |series: &str, value: u32| {
            let family = series
                .split(['{', ' '])
                .next()
                .unwrap()
                .trim_end_matches("_total");
            let kind = if family.len() < series.len() {
                "counter"
            } else {
                "gauge"
            };
            METRICS.replace(
                "# EOF",
                &format!("# TYPE {family} {kind}\n{series} {value}\n# EOF"),
            )
        };
        let may_differ = [
            "probelab_packets_total",
            "probelab_hits_total",
            "probelab_program_runs_total",
            "probelab_program_run_time_seconds_total",
            "probelab_waiting_seconds_total",
        ];
        for series in may_differ {
            let words = agreed(&with(series, 1), &with(series, 2));
            assert!(words.starts_with("true "), "{words}");
        }
        for (series, agrees) in [
            ("probelab_program_verified_instructions", true),
            ("probelab_packets_total", false),
        ] {
            let words = agreed(&with(series, 1), METRICS);
            assert_eq!(words.starts_with("true "), agrees, "{words}");
        }
    }

    #[test]
    fn silence_is_no_agreement() {
        insta::assert_snapshot!(agreed("# EOF\n", "# EOF\n"), @"false 0: libbpf and aya: 0 families in both; 0 of 0 counters equal");
        insta::assert_snapshot!(agreed(METRICS, ""), @"false 0: nothing to compare: with aya: the text is empty");
    }
}
