//! How a report and the rules look, and that Prometheus' own tool accepts the rules and agrees on what they do.

#![allow(clippy::unwrap_used, reason = "a test may end at once")]

mod common;

use std::process::Command;

use common::{OPENSLO, Probe, RELIABLY, history, parse};
use slo::{Report, RuleOptions, Selector, evaluate, prometheus_rules, render};

fn report() -> Report {
    let objectives = parse(RELIABLY);
    let mut probe = Probe {
        ok: [1180, 12, 4, 2],
        ..Probe::ok(0)
    };
    probe.failed = 9;
    probe.unknown = 4;
    evaluate(
        &objectives,
        &history(&objectives, &[(0.0, Probe::ok(0)), (60.0, probe)]),
    )
}

#[test]
fn simple() {
    insta::assert_snapshot!(render::simple(&report()));
}

#[test]
fn tabbed() {
    insta::assert_snapshot!(render::tabbed(&report()));
}

#[test]
fn markdown() {
    insta::assert_snapshot!(render::markdown(&report()));
}

#[test]
fn yaml() {
    insta::assert_snapshot!(serde_saphyr::to_string(&report()).unwrap());
}

#[test]
fn json() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&report()).unwrap());
}

fn rules(text: &str, scrape_interval_ms: i64) -> String {
    prometheus_rules(&parse(text), RuleOptions { scrape_interval_ms }).unwrap()
}

#[test]
fn rules_of_the_published_example() {
    insta::assert_snapshot!(rules(RELIABLY, 1000));
}

#[test]
fn rules_of_openslo() {
    insta::assert_snapshot!(rules(OPENSLO, 15_000));
}

#[test]
fn a_window_without_scrapes_is_refused() {
    let error = prometheus_rules(
        &parse(RELIABLY),
        RuleOptions {
            scrape_interval_ms: 30_000,
        },
    )
    .unwrap_err();
    assert!(error.contains("fewer than 4 scrapes of 30s"), "{error}");
}

/// Runs promtool on files of a folder. It is part of the Debian package `prometheus`.
fn promtool(arguments: &[&str], files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(folder.path())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!("promtool cannot be run ({error}); it is in the Debian package prometheus, which ci/bootstrap installs")
    });
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{told}");
    told
}

#[test]
fn promtool_accepts_the_rules() {
    for (text, scrape_interval_ms) in [(RELIABLY, 1000), (RELIABLY, 15_000), (OPENSLO, 15_000)] {
        let rules = rules(text, scrape_interval_ms);
        let told = promtool(&["check", "rules", "rules.yaml"], &[("rules.yaml", &rules)]);
        assert!(told.contains("SUCCESS"), "{told}");
    }
}

#[test]
fn promtool_reads_selectors_as_they_are_written_here() {
    let letters: String = (0..0x3000)
        .filter_map(char::from_u32)
        .chain("\u{fffd}\u{fffe}\u{10ffff}😀".chars())
        .collect();
    let selectors = [
        format!(
            "hits_total{{a=\"{}\"}}",
            letters
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n")
        ),
        r#"sum:hits_total{a!='"\'\x00\v',b=~`\{[{]a{x}\d`,c!~"\\\\|\\{|\u200b",}"#.to_owned(),
    ];
    let rules: Vec<_> = (1..)
        .zip(selectors)
        .map(|(number, query)| {
            let written = Selector::parse(&query).unwrap().to_string();
            serde_json::json!({ "record": format!("rule{number}"), "expr": written })
        })
        .collect();
    // JSON is YAML, and nothing in it depends on how a line is broken.
    let rules = serde_json::json!({ "groups": [{ "name": "a", "rules": rules }] });
    let told = promtool(
        &["check", "rules", "rules.yaml"],
        &[("rules.yaml", &rules.to_string())],
    );
    assert!(told.contains("SUCCESS"), "{told}");
}

#[test]
fn promtool_sees_the_alerts_fire_for_the_right_reason() {
    let tests = include_str!("fixtures/rules-test.yaml");
    let rules = rules(RELIABLY, 1000);
    promtool(
        &["test", "rules", "tests.yaml"],
        &[("rules.yaml", &rules), ("tests.yaml", tests)],
    );
}

#[test]
#[should_panic(expected = "FAILED")]
fn promtool_would_notice_a_wrong_rule() {
    let tests = include_str!("fixtures/rules-test.yaml");
    let rules = rules(RELIABLY, 1000).replace("le=\"0.15\"", "le=\"0.25\"");
    promtool(
        &["test", "rules", "tests.yaml"],
        &[("rules.yaml", &rules), ("tests.yaml", tests)],
    );
}
