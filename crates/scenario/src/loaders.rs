//! Whether two runs that differ only in the loader say the same.
//!
//! The programs are the same, so what they count must be. Loading itself takes another while with each loader,
//! which shifts the guest's time against the load: durations differ in their last digits, and how much of the
//! surrounding traffic a probe saw depends on when it was attached.

use std::collections::BTreeMap;

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

/// Compares what the daemon served in two runs: names and labels of every series, and the values of counters.
pub fn loaders_agree(one: OfLoader<'_>, other: OfLoader<'_>) -> ExpectationResult {
    let (held, compared, evidence) = match (values(one), values(other)) {
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

fn decide((one, of_one): (Loader, &Values), (other, of_other): (Loader, &Values)) -> (bool, usize, String) {
    let mut problems = Vec::new();
    for (loader, has, lacks) in [(one, of_one, of_other), (other, of_other, of_one)] {
        let alone: Vec<String> = has
            .keys()
            .filter(|name| !lacks.contains_key(*name))
            .cloned()
            .collect();
        if !alone.is_empty() {
            problems.push(format!("{} only with {loader}: {}", alone.len(), list(&alone)));
        }
    }
    let shared: Vec<(&String, f64, f64)> = of_one
        .iter()
        .filter_map(|(name, value)| Some((name, *value, *of_other.get(name)?)))
        .collect();
    let counted: Vec<&(&String, f64, f64)> = shared.iter().filter(|(name, ..)| is_counted(name)).collect();
    let differing: Vec<String> = counted
        .iter()
        .filter(|(_, of_one, of_other)| of_one != of_other)
        .map(|(name, of_one, of_other)| format!("{name}: {one} {of_one}, {other} {of_other}"))
        .collect();
    if !differing.is_empty() {
        problems.push(format!(
            "{} of {} differ: {}",
            differing.len(),
            count(counted.len(), "counter"),
            list(&differing)
        ));
    }
    let line = format!(
        "{one} and {other}: {} series in both, {} compared",
        shared.len(),
        count(counted.len(), "counter")
    );
    if problems.is_empty() {
        return (true, shared.len(), line);
    }
    (false, shared.len(), format!("{line}: {}", problems.join("; ")))
}

/// Whether the value of a series is a count that only the load decides.
fn is_counted(name: &str) -> bool {
    let family = name.split('{').next().unwrap_or(name);
    (family.ends_with("_total") || family.ends_with("_count"))
        && !family.ends_with("_seconds_total")
        && !OF_ATTACHMENT.iter().any(|prefix| family.starts_with(prefix))
}

/// The series of a run by name and labels.
fn values((loader, outputs): OfLoader<'_>) -> Result<Values, String> {
    let metrics = outputs
        .get(lab::METRICS)
        .ok_or_else(|| format!("the run with {loader} brought no output `{}`", lab::METRICS))?;
    let series = read_openmetrics(&metrics.text()).map_err(|error| format!("with {loader}: {error}"))?;
    Ok(series
        .into_iter()
        .filter(|series| !OF_LOADING.iter().any(|family| series.name.starts_with(family)))
        .map(|series| (with_labels(&series), series.value))
        .collect())
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

    /// The metrics with the value of each series that starts like this rewritten.
    fn with(start: &str, value: &str) -> String {
        assert!(
            METRICS.lines().any(|line| line.starts_with(start)),
            "no series {start}"
        );
        METRICS
            .lines()
            .map(|line| match line.rsplit_once(' ') {
                Some((series, _)) if line.starts_with(start) => format!("{series} {value}\n"),
                _ => format!("{line}\n"),
            })
            .collect()
    }

    fn without(start: &str) -> String {
        let kept = METRICS.lines().filter(|line| !line.starts_with(start));
        kept.flat_map(|line| [line, "\n"]).collect()
    }

    #[test]
    fn equal_runs_agree() {
        insta::assert_snapshot!(agreed(METRICS, METRICS), @"true 37: libbpf and aya: 37 series in both, 3 counters compared");
    }

    #[test]
    fn a_count_that_differs_is_seen() {
        let other = with(
            "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_response_status_code=\"500\"",
            "3",
        );
        insta::assert_snapshot!(agreed(METRICS, &other), @"false 37: libbpf and aya: 37 series in both, 3 counters compared: 1 of 3 counters differ: http_server_request_duration_seconds_count{http_request_method=GET,http_response_status_code=500,url_scheme=http}: libbpf 2, aya 3");
        insta::assert_snapshot!(agreed(&with("probelab_lost_total", "1"), METRICS), @"false 37: libbpf and aya: 37 series in both, 3 counters compared: 1 of 3 counters differ: probelab_lost_total{probe=http,reason=ring-full}: libbpf 1, aya 0");
    }

    #[test]
    fn a_series_that_only_one_has_is_seen() {
        let other = without("http_server_request_duration_seconds_bucket{le=\"0.25\"");
        insta::assert_snapshot!(agreed(METRICS, &other), @"false 35: libbpf and aya: 35 series in both, 3 counters compared: 2 only with libbpf: http_server_request_duration_seconds_bucket{http_request_method=GET,http_response_status_code=200,le=0.25,url_scheme=http}; http_server_request_duration_seconds_bucket{http_request_method=GET,http_response_status_code=500,le=0.25,url_scheme=http}");
        insta::assert_snapshot!(agreed(&other, METRICS), @"false 35: libbpf and aya: 35 series in both, 3 counters compared: 2 only with aya: http_server_request_duration_seconds_bucket{http_request_method=GET,http_response_status_code=200,le=0.25,url_scheme=http}; http_server_request_duration_seconds_bucket{http_request_method=GET,http_response_status_code=500,le=0.25,url_scheme=http}");
    }

    #[test]
    fn what_shifted_time_changes_is_not_compared() {
        for series in [
            "http_server_request_duration_seconds_sum",
            "http_server_request_duration_seconds_bucket",
        ] {
            let words = agreed(METRICS, &with(series, "9"));
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
        let counted = agreed(
            &with("probelab_handovers_total", 1),
            &with("probelab_handovers_total", 2),
        );
        assert!(counted.starts_with("false "), "{counted}");
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
        insta::assert_snapshot!(agreed("# EOF\n", "# EOF\n"), @"false 0: libbpf and aya: 0 series in both, 0 counters compared");
        insta::assert_snapshot!(agreed(METRICS, ""), @"false 0: nothing to compare: with aya: the text is empty");
    }
}
