//! Both dialects: what they say, and what is wrong in them, with its place.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

mod common;

use common::{OPENSLO, RELIABLY, parse};
use slo::{Budgeting, ClientErrors, Measure, SliceTarget, Target};

#[test]
fn the_published_example_is_read_as_it_is() {
    let objectives = parse(RELIABLY);
    assert_eq!(objectives.len(), 2);
    let [latency, availability] = &objectives[..] else {
        panic!("{objectives:?}")
    };
    assert_eq!(latency.name, "99.5% of the responses are under 150ms");
    assert_eq!(latency.service, "ebpf-2021-demo");
    assert_eq!(latency.window_ms, 60_000);
    assert_eq!(latency.target, Target::from_percent(99.5).unwrap());
    let Measure::Bucket { bound, .. } = latency.indicator.measure else {
        panic!("{latency:?}")
    };
    assert_eq!(bound, 0.15);
    assert_eq!(availability.target, Target::from_percent(99.0).unwrap());
    assert!(matches!(
        availability.indicator.measure,
        Measure::Ratio {
            part_is_good: true,
            ..
        }
    ));
}

#[test]
fn openslo_is_read_with_its_references() {
    let objectives = parse(OPENSLO);
    let told: Vec<String> = objectives
        .iter()
        .map(|objective| {
            format!(
                "{} | {} | {} | {:?} | {} losses | {} alerts",
                objective.name,
                objective.target.percent(),
                slo::duration_text(objective.window_ms),
                objective.budgeting,
                objective.indicator.losses.len(),
                objective.alerts.len()
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert_eq!(
        objectives[2].budgeting,
        Budgeting::Timeslices {
            slice_ms: 60_000,
            target: SliceTarget::Share(Target::from_ratio(0.95).unwrap())
        }
    );
}

/// Changes one line of a good file and says what is wrong with it then.
fn broken(text: &str, line: &str, instead: &str) -> String {
    assert!(text.contains(line), "{line}");
    let error = slo::parse(&text.replacen(line, instead, 1), ClientErrors::default()).unwrap_err();
    let message = error.to_string();
    message.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn what_is_wrong_in_the_first_dialect_has_a_place() {
    let wrong = [
        ("    window: 1m\n", "    windows: 1m\n"),
        ("    window: 1m\n", "    window: a minute\n"),
        ("    window: 1m\n", ""),
        ("objectivePercent: 99.5", "objectivePercent: 100"),
        ("objectivePercent: 99.5", "objectivePercent: most"),
        ("category: latency", "category: speed"),
        ("path: /\n", "path: /basket\n"),
        ("percentile: \"100\"", "percentile: \"99\""),
        ("latency_target: 150ms", "latency_target: 150"),
        (
            "latency_target: 150ms",
            "latency_target: 150ms\n        colour: red",
        ),
        ("        latency_target: 150ms\n", ""),
        (
            "category: availability",
            "category: availability\n        percentile: \"100\"",
        ),
        ("kind: Objective", "kind: Objectives"),
        ("apiVersion: reliably.com/v1", "apiVersion: reliably.com/v2"),
        (
            "apiVersion: reliably.com/v1\nkind: Objective",
            "kind: Objective\napiVersion: reliably.com/v1",
        ),
        (
            "99% of the responses to our users are in the 2xx class",
            "99.5% of the responses are under 150ms",
        ),
    ];
    let told: Vec<String> = wrong
        .iter()
        .map(|(line, instead)| broken(RELIABLY, line, instead))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_is_wrong_in_the_second_dialect_has_a_place() {
    let wrong = [
        (
            "query: http_server_request_duration_seconds_count",
            "query: a_total / b_total",
        ),
        ("  type: Prometheus\n  conn", "  type: Datadog\n  conn"),
        ("metricSourceRef: node", "metricSourceRef: nodes"),
        ("indicatorRef: answered", "indicatorRef: answers"),
        ("counter: true", "counter: false"),
        ("isRolling: true", "isRolling: false"),
        (
            "isRolling: true",
            "calendar: {startTime: 2020-01-21 12:30:00, timeZone: Europe/Paris}",
        ),
        ("target: 0.99\n", "target: 1\n"),
        ("target: 0.99\n", "target: 0.99\n      targetPercent: 99\n"),
        ("op: lte", "op: lt"),
        ("value: 0.15", "value: -1"),
        (
            "query: http_server_request_duration_seconds\n",
            "query: probelab_hits_total\n",
        ),
        ("timeSliceWindow: 1m", "timeSliceWindow: 0"),
        ("      timeSliceTarget: 0.95\n", ""),
        ("alertPolicyRef: wake-somebody", "alertPolicyRef: sleep"),
        ("conditionRef: burns", "conditionRef: glows"),
        ("threshold: 2", "threshold: 0"),
        ("kind: burnrate", "kind: cpu"),
        ("lookbackWindow: 10m", "lookbackWindow: soon"),
        ("alertWhenBreaching: true", "alertWhenNoData: true"),
        ("budgetingMethod: Occurrences", "budgetingMethod: Guesses"),
        ("service: web\n", "service: web\n  owner: me\n"),
        ("kind: SLI", "kind: SLIs"),
    ];
    let told: Vec<String> = wrong
        .iter()
        .map(|(line, instead)| broken(OPENSLO, line, instead))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_file_without_objectives_is_none() {
    for text in [
        "",
        "---\n",
        "[]",
        "a: 1\n",
        "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: x}\nspec: {}\n",
    ] {
        assert!(slo::parse(text, ClientErrors::default()).is_err(), "{text:?}");
    }
}
