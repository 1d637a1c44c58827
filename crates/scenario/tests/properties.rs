//! What must hold for every input: no text makes the judge or the reader panic, and no order of lines
//! changes a verdict.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use scenario::{Evidence, Judgement, Scenario, Verdict, judge};
use wire::{GuestEnd, Output};

const SCENARIO: &str = include_str!("../../../scenarios/http-latency/scenario.toml");
const SERVER: &str = include_str!("fixtures/http-latency/server.jsonl");
const CAPTURE: &str = include_str!("fixtures/http-latency/capture.tsv");
const METRICS: &str = include_str!("fixtures/http-latency/metrics.om");
const HEY: &str = include_str!("fixtures/http-latency/hey.csv");
const EXCHANGES: &str = include_str!("fixtures/http-latency/exchanges.jsonl");

fn judged(texts: [(&str, &str); 4], capture: &str) -> Judgement {
    let scenario = Scenario::parse("scenario.toml", SCENARIO).unwrap();
    let outputs: BTreeMap<String, Output> = texts
        .map(|(name, text)| (name.to_owned(), Output(text.as_bytes().to_vec())))
        .into();
    judge(
        &scenario,
        Evidence {
            end: &GuestEnd::Completed,
            outputs: &outputs,
            console: "",
            counted_on: None,
            capture_text: Some(capture),
        },
    )
}

fn recorded<'a>(server: &'a str, exchanges: &'a str) -> Judgement {
    judged(
        [
            ("metrics", METRICS),
            ("exchanges", exchanges),
            ("load.hey", HEY),
            ("server", server),
        ],
        CAPTURE,
    )
}

#[test]
fn a_scenario_that_is_cut_anywhere_is_an_error_or_a_shorter_scenario() {
    for (length, _) in SCENARIO.char_indices() {
        let _ = Scenario::parse("scenario.toml", &SCENARIO[..length]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_scenario_text_panics(position in 0..SCENARIO.len(), inserted in "\\PC{0,8}") {
        let mut text = SCENARIO.to_owned();
        if text.is_char_boundary(position) {
            text.insert_str(position, &inserted);
        }
        let _ = Scenario::parse("scenario.toml", &text);
    }

    #[test]
    fn no_output_panics_and_none_of_these_passes(text in "(\\PC|[\n\t,{}\"#=0-9.]){0,80}") {
        let outputs = [("metrics", &*text), ("exchanges", &*text), ("load.hey", &*text), ("server", &*text)];
        let verdict = judged(outputs, &text).verdict;
        prop_assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
    }

    #[test]
    fn the_order_of_exchanges_does_not_matter(lines in Just(SERVER.lines().collect::<Vec<_>>()).prop_shuffle()) {
        prop_assert_eq!(recorded(&lines.join("\n"), EXCHANGES), recorded(SERVER, EXCHANGES));
    }

    #[test]
    fn one_time_that_is_wrong_is_always_seen(line in 0..55_usize, by_us in 54_u64..100_000) {
        let mut lines: Vec<String> = EXCHANGES.lines().map(str::to_owned).collect();
        let mut exchange: serde_json::Value = serde_json::from_str(&lines[line]).unwrap();
        exchange["end_ns"] = (exchange["end_ns"].as_u64().unwrap() + by_us * 1000).into();
        lines[line] = exchange.to_string();
        let judgement = recorded(SERVER, &lines.join("\n"));
        let wire_time = judgement.results.iter().find(|result| result.name == "wire time").unwrap();
        prop_assert!(!wire_time.held, "{}", wire_time.evidence);
    }
}
