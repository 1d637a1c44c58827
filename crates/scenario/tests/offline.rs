//! Record once, judge offline: a recorded run of http-latency, judged as it was and with one thing wrong at
//! a time.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

use std::collections::BTreeMap;

use scenario::{Evidence, Judgement, Scenario, Verdict, judge};
use wire::{GuestEnd, Output};

const SCENARIO: &str = include_str!("../../../scenarios/http-latency/scenario.toml");
const CONTROL: &str = include_str!("../../../scenarios/http-latency-wrong-pairing/scenario.toml");

/// The recorded run.
struct Run {
    outputs: BTreeMap<String, Output>,
    capture_text: String,
}

impl Run {
    fn recorded() -> Self {
        let outputs = [
            ("metrics", include_str!("fixtures/http-latency/metrics.om")),
            ("exchanges", include_str!("fixtures/http-latency/exchanges.jsonl")),
            ("load.hey", include_str!("fixtures/http-latency/hey.csv")),
            ("server", include_str!("fixtures/http-latency/server.jsonl")),
        ];
        Self {
            outputs: outputs
                .map(|(name, text)| (name.to_owned(), Output(text.into())))
                .into(),
            capture_text: include_str!("fixtures/http-latency/capture.tsv").to_owned(),
        }
    }

    fn text(&self, name: &str) -> String {
        self.outputs[name].text().into_owned()
    }

    /// The run with one output rewritten.
    fn with(mut self, name: &str, rewrite: impl Fn(&str) -> String) -> Self {
        let text = rewrite(&self.text(name));
        self.outputs.insert(name.to_owned(), Output(text.into_bytes()));
        self
    }

    fn judged_by(&self, text: &str) -> Judgement {
        let scenario = Scenario::parse("scenario.toml", text).unwrap();
        let capture_text = Some(self.capture_text.as_str());
        judge(
            &scenario,
            Evidence {
                end: &GuestEnd::Completed,
                outputs: &self.outputs,
                console: "",
                counted_on: None,
                capture_text,
            },
        )
    }

    fn judged(&self) -> Judgement {
        self.judged_by(SCENARIO)
    }
}

/// Everything 100 ms late, as with the wrong pairing: the think time of the client is counted.
fn with_think_time(run: Run) -> Run {
    let run = run.with("exchanges", |text| {
        text.lines()
            .map(|line| {
                let mut exchange: serde_json::Value = serde_json::from_str(line).unwrap();
                exchange["start_ns"] = (exchange["start_ns"].as_u64().unwrap() - 100_000_000).into();
                format!("{exchange}\n")
            })
            .collect()
    });
    run.with("metrics", |text| {
        let is_low = |line: &str| {
            ["0.005", "0.01", "0.025", "0.05", "0.075", "0.1"]
                .iter()
                .any(|bound| line.contains(&format!("le=\"{bound}\"")))
        };
        let lines = text.lines().map(|line| match line.rsplit_once(' ') {
            Some((series, _)) if is_low(line) => format!("{series} 0\n"),
            _ => format!("{line}\n"),
        });
        lines.collect()
    })
}

fn failed(judgement: &Judgement) -> Vec<&str> {
    judgement
        .results
        .iter()
        .filter(|result| !result.held)
        .map(|result| result.name.as_str())
        .collect()
}

fn evidence_of<'a>(judgement: &'a Judgement, name: &str) -> &'a str {
    &judgement
        .results
        .iter()
        .find(|result| result.name == name)
        .unwrap()
        .evidence
}

#[test]
fn the_recorded_run_passes_with_evidence() {
    let judgement = Run::recorded().judged();
    assert_eq!(judgement.verdict, Verdict::Passed, "{judgement:#?}");
    let lines: Vec<String> = judgement
        .results
        .iter()
        .map(|result| format!("{}: {}", result.name, result.evidence))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    at least one request: `http_server_request_duration_seconds_count` of probe: all: 55 (at least 1)
    counts: probe = server: 2 groups equal in probe and server: http_request_method=GET,http_response_status_code=200: 53; http_request_method=GET,http_response_status_code=500: 2
    counts: probe = hey: 2 groups equal in probe and hey: http_response_status_code=200: 53; http_response_status_code=500: 2
    counts: probe = capture: 2 groups equal in probe and capture: http_request_method=GET,http_response_status_code=200: 53; http_request_method=GET,http_response_status_code=500: 2
    server <= probe: 55 ranks of server ≤ exchanges + 0 s: tightest at rank 1 of 55 (server 34.762 µs, exchanges 789.484 µs): 754.722 µs to spare
    probe <= hey: 55 ranks of exchanges ≤ hey + 50.000 µs: tightest at rank 1 of 55 (exchanges 789.484 µs, hey 900.000 µs): 110.516 µs to spare
    wire time: 55 values compared, tolerance 50.000 µs: worst difference 3.000 µs at client=127.0.0.1:36436,n=7 (exchanges 1.2611 ms, capture 1.2641 ms)
    buckets: 55 values against 30 buckets, tolerance 50.000 µs: largest difference 0 at http_response_status_code=200,le=0.005 (histogram 52, values 52, 0 within tolerance)
    nothing lost: `probelab_lost_total` of probe: all: 0 (must be 0)
    nothing unknown: `http_server_requests_unknown_total` of probe is absent, which counts as 0; must be 0
    every hit accounted for: `probelab_hits_unaccounted` of probe: all: 0 (must be 0)
    ");
}

#[test]
fn one_request_more_or_less_is_seen() {
    let run = Run::recorded().with("server", |text| text.split_once('\n').unwrap().1.to_owned());
    let judgement = run.judged();
    assert_eq!(failed(&judgement), ["counts: probe = server", "server <= probe"]);
    insta::assert_snapshot!(evidence_of(&judgement, "counts: probe = server"), @"1 of 2 groups differ: http_request_method=GET,http_response_status_code=200: probe 53, server 52");
    insta::assert_snapshot!(evidence_of(&judgement, "server <= probe"), @"54 ranks of server ≤ exchanges + 0 s: 1 of 54 ranks above; all: server has 54 values, exchanges has 55 values; tightest at rank 54 of 54 (server 940.5458 ms, exchanges 3.3871 ms): -937.1587 ms to spare");
}

#[test]
fn one_request_off_by_a_millisecond_is_seen() {
    let run = Run::recorded().with("exchanges", |text| {
        let (first, rest) = text.split_once('\n').unwrap();
        let mut exchange: serde_json::Value = serde_json::from_str(first).unwrap();
        exchange["end_ns"] = (exchange["end_ns"].as_u64().unwrap() + 1_000_000).into();
        format!("{exchange}\n{rest}")
    });
    let judgement = run.judged();
    assert!(failed(&judgement).contains(&"wire time"));
    insta::assert_snapshot!(evidence_of(&judgement, "wire time"), @"55 values compared, tolerance 50.000 µs: 1 of 55 are further apart than 50.000 µs; worst difference 998.000 µs at client=127.0.0.1:36428,n=1 (exchanges 3.9640 ms, capture 2.9660 ms)");
}

#[test]
fn a_silent_probe_fails_everything_that_is_asked_of_it() {
    let judgement = Run::recorded().with("metrics", |_| "# EOF\n".to_owned()).judged();
    assert!(matches!(&judgement.verdict, Verdict::Failed { .. }));
    insta::assert_snapshot!(evidence_of(&judgement, "at least one request"), @"nothing to compare: source `probe` has no series `http_server_request_duration_seconds_count`; it has none at all");
    insta::assert_snapshot!(evidence_of(&judgement, "buckets"), @"nothing to compare: source `probe` has no series `http_server_request_duration_seconds_bucket`; it has none at all");
}

#[test]
fn an_output_that_is_missing_or_torn_is_named() {
    let mut run = Run::recorded().with("exchanges", |text| text[..text.len() - 9].to_owned());
    run.outputs.remove("load.hey");
    let judgement = run.judged();
    insta::assert_snapshot!(evidence_of(&judgement, "wire time"), @"nothing to compare: source `exchanges`: line 55 cannot be read: EOF while parsing an object at line 1 column 133");
    insta::assert_snapshot!(evidence_of(&judgement, "counts: probe = hey"), @"nothing to compare: source `hey`: the run brought no output `load.hey`");
}

#[test]
fn wrong_pairing_fails_as_it_must() {
    let judgement = with_think_time(Run::recorded()).judged_by(CONTROL);
    assert_eq!(judgement.verdict, Verdict::Passed, "{judgement:#?}");
    assert_eq!(
        judgement.note.as_deref(),
        Some("failed as it must: probe <= hey, wire time, buckets")
    );
}

#[test]
fn the_same_mistake_fails_the_real_scenario() {
    let judgement = with_think_time(Run::recorded()).judged();
    assert_eq!(failed(&judgement), ["probe <= hey", "wire time", "buckets"]);
    insta::assert_snapshot!(evidence_of(&judgement, "wire time"), @"55 values compared, tolerance 50.000 µs: 55 of 55 are further apart than 50.000 µs; worst difference 100.0030 ms at client=127.0.0.1:36438,n=6 (exchanges 101.1787 ms, capture 1.1757 ms)");
}

#[test]
fn a_control_that_holds_is_no_pass() {
    let judgement = Run::recorded().judged_by(CONTROL);
    insta::assert_snapshot!(serde_json::to_string(&judgement.verdict).unwrap(), @r#"{"kind":"failed","reason":"the negative control was not caught, this must fail but held: `probe <= hey`, `wire time`, `buckets`"}"#);
}

#[test]
fn a_control_without_data_is_no_pass() {
    let mut run = with_think_time(Run::recorded());
    run.capture_text.clear();
    let judgement = run.judged_by(CONTROL);
    insta::assert_snapshot!(serde_json::to_string(&judgement.verdict).unwrap(), @r#"{"kind":"failed","reason":"the negative control failed for want of data: `wire time`, `buckets`"}"#);
}
