//! One expectation over two small sources: what each kind lets pass, what it does not, and how it says so.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

use std::collections::BTreeMap;

use scenario::{Evidence, Scenario, judge};
use wire::{GuestEnd, Output};

const SCENARIO: &str = r#"about = "two sources"
deadline_guest_seconds = 1
deadline_wall_seconds = 1
cpus = 1

[[load]]
name = "one"
command = ["true"]

[[load]]
name = "two"
command = ["true"]

[[oracle]]
name = "one"
kind = "openmetrics"
output = "load.one"

[[oracle]]
name = "two"
kind = "openmetrics"
output = "load.two"

[[expect]]
name = "it"
"#;

/// What two grouped series `a` of the sources `one` and `two` come to, in words.
fn decided(keys: &str, one: &str, two: &str) -> String {
    let sides = r#"
        left = { source = "one", series = "a", by = ["g"] }
        right = { source = "two", series = "a", by = ["g"] }
    "#;
    decided_with(&format!("{keys}\n{sides}"), one, two)
}

fn decided_with(keys: &str, one: &str, two: &str) -> String {
    let scenario = Scenario::parse("scenario.toml", &format!("{SCENARIO}{keys}")).unwrap();
    let output = |text: &str| Output(text.as_bytes().to_vec());
    let outputs = BTreeMap::from([("load.one".into(), output(one)), ("load.two".into(), output(two))]);
    let evidence = Evidence {
        end: &GuestEnd::Completed,
        outputs: &outputs,
        console: "",
        counted_on: None,
        capture_text: None,
    };
    let judgement = judge(&scenario, evidence);
    let [result] = &judgement.results[..] else {
        panic!("{judgement:?}")
    };
    let word = if result.held { "held" } else { "failed" };
    format!("{word}, {} compared: {}", result.compared, result.evidence)
}

/// Lines of several families, separated by semicolons, as a whole text.
fn families(lines: &str) -> String {
    let mut text = String::new();
    let mut last = "";
    for line in lines.split(';').filter(|line| !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        if name != last {
            text.push_str(&format!("# TYPE {name} gauge\n"));
        }
        text.push_str(&format!("{line}\n"));
        last = name;
    }
    text + "# EOF\n"
}

const TWO_GROUPS: &str = "a{g=\"x\"} 100\na{g=\"y\"} 40\n";

fn within(tolerance: &str, one: &str) -> String {
    decided(
        &format!("kind = \"within\"\nbecause = \"x\"\n{tolerance}"),
        one,
        TWO_GROUPS,
    )
}

#[test]
fn a_number_of_counts_may_differ() {
    let near = "a{g=\"x\"} 98\na{g=\"y\"} 41\n";
    insta::assert_snapshot!(within("tolerance = 2", near), @"held, 2 compared: 2 values compared, tolerance 2: worst difference 2 at g=x (one 98, two 100)");
    insta::assert_snapshot!(within("tolerance = 1", near), @"failed, 2 compared: 2 values compared, tolerance 1: 1 of 2 are further apart than 1; worst difference 2 at g=x (one 98, two 100)");
}

#[test]
fn counts_of_a_group_are_added_up() {
    let parts = "a{g=\"x\",cpu=\"0\"} 60\na{g=\"x\",cpu=\"1\"} 40\na{g=\"y\",cpu=\"0\"} 40\n";
    insta::assert_snapshot!(within("tolerance = 0", parts), @"held, 2 compared: 2 values compared, tolerance 0: worst difference 0 at g=y (one 40, two 40)");
    insta::assert_snapshot!(within("tolerance_seconds = 100", parts), @"failed, 2 compared: 2 values compared, tolerance 100.000000 s: one has 2 values for g=x; worst difference 40.000000 s at g=x (one 60.000000 s, two 100.000000 s)");
}

#[test]
fn a_fraction_of_the_right_hand_value_may_differ() {
    let near = "a{g=\"x\"} 96\na{g=\"y\"} 44\n";
    insta::assert_snapshot!(within("tolerance_ratio = 0.1", near), @"held, 2 compared: 2 values compared, tolerance 10.000 %: worst difference 10.000 % at g=y (one 44, two 40)");
    insta::assert_snapshot!(within("tolerance_ratio = 0.05", near), @"failed, 2 compared: 2 values compared, tolerance 5.000 %: 1 of 2 are further apart than 5.000 %; worst difference 10.000 % at g=y (one 44, two 40)");
}

#[test]
fn a_fraction_of_nothing_is_nothing() {
    let ratio = |one: &str| {
        decided(
            "kind = \"within\"\nbecause = \"x\"\ntolerance_ratio = 0.5",
            one,
            "a 0\n",
        )
    };
    insta::assert_snapshot!(ratio("a 0\n"), @"held, 1 compared: 1 value compared, tolerance 50.000 %: worst difference 0.000 % at g= (one 0, two 0)");
    insta::assert_snapshot!(ratio("a 0.001\n"), @"failed, 1 compared: 1 value compared, tolerance 50.000 %: 1 of 1 are further apart than 50.000 %; worst difference beyond any ratio at g= (one 0.001, two 0)");
}

#[test]
fn what_one_side_lacks_and_what_is_no_number_is_never_near() {
    insta::assert_snapshot!(within("tolerance = 1000", "a{g=\"x\"} 100\na{g=\"z\"} 0\n"), @"failed, 1 compared: 1 value compared, tolerance 1000: 1 of one missing in two, first g=z; 1 of two missing in one, first g=y; worst difference 0 at g=x (one 100, two 100)");
    insta::assert_snapshot!(within("tolerance = 1000", "a{g=\"x\"} NaN\na{g=\"y\"} 40\n"), @"failed, 2 compared: 2 values compared, tolerance 1000: 1 of 2 are further apart than 1000; worst difference NaN at g=x (one NaN, two 100)");
}

#[test]
fn at_most_holds_group_by_group() {
    let at_most = |one: &str| decided("kind = \"at-most\"", one, TWO_GROUPS);
    insta::assert_snapshot!(at_most("a{g=\"x\"} 100\na{g=\"y\"} 39\n"), @"held, 2 compared: 2 groups of one ≤ two: tightest at g=x (one 100, two 100): 0 to spare");
    insta::assert_snapshot!(at_most("a{g=\"x\"} 10\na{g=\"y\"} 41\n"), @"failed, 2 compared: 1 of 2 groups above: g=y (one 41, two 40)");
    insta::assert_snapshot!(at_most("a{g=\"x\"} 10\na{g=\"z\"} 1\n"), @"failed, 3 compared: 1 of 3 groups above: g=z (one 1, two 0)");
    insta::assert_snapshot!(at_most("a{g=\"x\"} NaN\n"), @"failed, 2 compared: 1 of 2 groups above: g=x (one NaN, two 100)");
    insta::assert_snapshot!(at_most("a{g=\"z\"} 0\n"), @"failed, 0 compared: nothing to compare: one and two share no group");
}

/// Hits = recorded + filtered + lost, with one series for each.
fn conservation(one: &str) -> String {
    let keys = r#"
        kind = "equal"
        left = { source = "one", series = "recorded", plus = ["filtered", "lost"] }
        right = { source = "two", series = "hits" }
    "#;
    decided_with(keys, &families(one), "hits 10\n")
}

#[test]
fn a_sum_of_several_series_is_compared() {
    insta::assert_snapshot!(conservation("recorded 7;filtered{reason=\"port\"} 1;filtered{reason=\"ip\"} 1;lost 1"), @"held, 1 compared: 1 group equal in one and two: all: 10");
    insta::assert_snapshot!(conservation("recorded 7;filtered 2;lost 0"), @"failed, 1 compared: 1 of 1 group differ: all: one 9, two 10");
    insta::assert_snapshot!(conservation("recorded 7;filtered 3;dropped 0"), @"failed, 0 compared: nothing to compare: source `one` has no series `lost`; it has dropped, filtered, recorded");
}

#[test]
fn a_series_that_a_source_never_has_is_named_beside_what_there_was() {
    let value = r#"kind = "value"
        is = 1
        of = { source = "one", series = "dropped_total" }"#;
    let of = |one: &str| decided_with(value, &families(one), "a 1\n");
    insta::assert_snapshot!(of("droped_total 1"), @"failed, 0 compared: nothing to compare: source `one` has no series `dropped_total`; did you mean `droped_total`?");
    insta::assert_snapshot!(of("songs 1;birds{kind=\"tit\"} 2;birds{kind=\"jay\"} 2"), @"failed, 0 compared: nothing to compare: source `one` has no series `dropped_total`; it has birds, songs");
    insta::assert_snapshot!(of(""), @"failed, 0 compared: nothing to compare: source `one` has no series `dropped_total`; it has none at all");
}
