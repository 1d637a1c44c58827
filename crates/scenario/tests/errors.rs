//! What a scenario file with a mistake in it says: place, fault, help.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

use scenario::Scenario;

const GOOD: &str = r#"about = "a scenario for tests"
deadline_guest_seconds = 10
deadline_wall_seconds = 20
cpus = 1

[probe]
manifest = "probe.yaml"

[[load]]
name = "load"
command = ["true"]
files = ["load.py"]

[[oracle]]
name = "hey"
kind = "hey-csv"
output = "load.load"

[[expect]]
name = "counts"
kind = "equal"
left = { source = "probe", series = "requests_total", by = ["status"] }
right = { source = "hey", series = "requests_total", by = ["http_response_status_code"], as = { http_response_status_code = "status" } }
"#;

/// Error and help after one replacement in the good file.
fn error(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "the test replaces nothing");
    let error = Scenario::parse("scenario.toml", &GOOD.replacen(from, to, 1)).unwrap_err();
    format!("{error} | {}", error.help().unwrap_or("-"))
}

#[test]
fn the_file_itself_is_good() {
    let scenario = Scenario::parse("scenario.toml", GOOD).unwrap();
    assert_eq!(scenario.files(), ["load.py", "probe.yaml"]);
    assert_eq!(scenario.expectations().collect::<Vec<_>>(), ["counts"]);
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(error("cpus = 1", "cpu = 1"), @"scenario.toml:4:1: unknown key `cpu` | did you mean `cpus`?");
    insta::assert_snapshot!(error("[\"true\"]\n", "[\"true\"]\nfile = [\"x\"]\n"), @"scenario.toml:12:1: unknown key `file` | did you mean `files`?");
    insta::assert_snapshot!(error("kind = \"equal\"", "kind = \"equal\"\ntolerance = 1"), @"scenario.toml:22:1: unknown key `tolerance` | known here: left, right");
    insta::assert_snapshot!(error("by = [\"status\"] }", "be = [\"status\"] }"), @"scenario.toml:22:55: unknown key `be` | known here: source, series, plus, by, where, as");
}

#[test]
fn unknown_names() {
    insta::assert_snapshot!(error("source = \"hey\"", "source = \"hay\""), @"scenario.toml:23:20: unknown source `hay` | did you mean `hey`?");
    insta::assert_snapshot!(error("\"hey\", series = \"requests_total\"", "\"hey\", series = \"request_total\""), @"scenario.toml:23:36: unknown series `request_total` | did you mean `requests_total`?");
    insta::assert_snapshot!(error("\"load.load\"", "\"load.lod\""), @"scenario.toml:17:10: unknown output `load.lod` | did you mean `load.load`?");
    insta::assert_snapshot!(error("cpus = 1", "cpus = 1\nmust_fail = [\"count\"]"), @"scenario.toml:5:14: unknown expectation `count` | did you mean `counts`?");
    insta::assert_snapshot!(error("cpus = 1", "cpus = 1\nmust_end = \"panics\""), @"scenario.toml:5:12: unknown value `panics` | did you mean `panic`?");
    insta::assert_snapshot!(error("[\"true\"]", "[\"true\"]\nnamespace = \"n\""), @"scenario.toml:12:13: unknown namespace `n` | there is none here");
}

#[test]
fn unknown_kinds() {
    insta::assert_snapshot!(error("kind = \"equal\"", "kind = \"equals\""), @"scenario.toml:21:8: unknown kind of expectation `equals` | did you mean `equal`?");
    insta::assert_snapshot!(error("kind = \"hey-csv\"", "kind = \"hey\""), @"scenario.toml:16:8: unknown value `hey` | known here: exchange-log, hey-csv, capture, openmetrics");
    insta::assert_snapshot!(error("kind = \"equal\"\n", ""), @"scenario.toml:19:1: an expectation needs the key `kind` | -");
}

#[test]
fn bad_values() {
    insta::assert_snapshot!(error("cpus = 1", "cpus = 3"), @"scenario.toml:4:8: `cpus` is 1 or 2 | -");
    insta::assert_snapshot!(error("cpus = 1", "cpus = \"one\""), @r#"scenario.toml:4:8: invalid type: string "one", expected u32 | -"#);
    insta::assert_snapshot!(error("deadline_guest_seconds = 10", "deadline_guest_seconds = 0"), @"scenario.toml:2:26: a deadline of 0 seconds has always passed | -");
    insta::assert_snapshot!(error("cpus = 1\n", ""), @"scenario.toml:1:1: missing field `cpus` | -");
    insta::assert_snapshot!(error("[\"true\"]", "[]"), @"scenario.toml:11:11: the command is empty | -");
    insta::assert_snapshot!(error("[\"true\"]", "[\"true\"]\nready = { tcp = \"localhost\" }"), @"scenario.toml:12:9: `localhost` is not an address with port | write it like `127.0.0.1:8000`");
    insta::assert_snapshot!(error("\"load.py\"", "\"../../etc/passwd\""), @"scenario.toml:12:10: `../../etc/passwd` is not a file of the scenario | name a file below the scenario's folder, or `../SCENARIO/FILE` of another scenario");
    insta::assert_snapshot!(error("name = \"load\"", "name = \"../load\""), @"scenario.toml:10:8: `../load` cannot name a file or folder | use letters, digits, `-`, `_` and `.`");
    insta::assert_snapshot!(error("cpus = 1", "cpus = 1 2"), @"scenario.toml:4:8: string values must be quoted, expected literal string | -");
}

#[test]
fn sides_that_do_not_match() {
    insta::assert_snapshot!(error(", as = { http_response_status_code = \"status\" }", ""), @"scenario.toml:23:36: the left side is grouped by [status], the right side by [http_response_status_code] | `as` renames labels of `by`");
}

#[test]
fn allowances_need_reasons() {
    insta::assert_snapshot!(error("kind = \"equal\"", "kind = \"ranked\"\nslack_seconds = 1.0"), @r#"scenario.toml:22:17: an allowance needs its reason | add `because = "…"`"#);
    insta::assert_snapshot!(error("kind = \"equal\"", "kind = \"within\"\ntolerance_seconds = -1.0\nbecause = \"x\""), @"scenario.toml:22:21: an allowance is a number, not below 0 | -");
    insta::assert_snapshot!(error("kind = \"equal\"", "kind = \"within\"\ntolerance_seconds = 1.0"), @"scenario.toml:19:1: missing field `because` | -");
}

#[test]
fn a_tolerance_is_given_once() {
    let within = |keys: &str| {
        error(
            "kind = \"equal\"",
            &format!("kind = \"within\"\nbecause = \"x\"\n{keys}"),
        )
    };
    insta::assert_snapshot!(within(""), @"scenario.toml:20:8: nothing says how far apart the two sides may be | give one of `tolerance_seconds`, `tolerance` and `tolerance_ratio`");
    insta::assert_snapshot!(within("tolerance_seconds = 1\ntolerance_ratio = 0.5"), @"scenario.toml:24:19: a second tolerance | give one of `tolerance_seconds`, `tolerance` and `tolerance_ratio`");
    insta::assert_snapshot!(within("tolerance_ratio = 1.0"), @"scenario.toml:23:19: a ratio of 1 or more lets 0 pass for anything | -");
    insta::assert_snapshot!(within("tolerance = -1"), @"scenario.toml:23:13: an allowance is a number, not below 0 | -");
    insta::assert_snapshot!(within("tolerance_second = 1.0"), @"scenario.toml:23:1: unknown key `tolerance_second` | did you mean `tolerance_seconds`?");
}

#[test]
fn a_series_of_a_sum_must_be_one_that_the_source_can_have() {
    insta::assert_snapshot!(error("source = \"hey\",", "source = \"hey\", plus = [\"request_total\"],"), @"scenario.toml:23:35: unknown series `request_total` | did you mean `requests_total`?");
}

#[test]
fn an_absent_series_must_not_hide_the_others_of_a_sum() {
    let (head, _) = GOOD.split_once("kind = \"equal\"").unwrap();
    let value = r#"kind = "value"
of = { source = "probe", series = "a", plus = ["b"] }
is = 0
absent_is_zero = true
"#;
    let error = Scenario::parse("scenario.toml", &format!("{head}{value}")).unwrap_err();
    insta::assert_snapshot!(error, @"scenario.toml:22:48: in a sum of several series none may be absent: one that is would hide the others");
}

#[test]
fn a_scenario_that_expects_nothing() {
    let (head, _) = GOOD.split_once("[[expect]]").unwrap();
    let none = Scenario::parse("scenario.toml", head).unwrap_err();
    insta::assert_snapshot!(format!("{none} | {}", none.help().unwrap()), @"scenario.toml:1:1: a scenario without expectations can never pass | add `[[expect]]`, or `must_end` when the guest is meant to break");
    insta::assert_snapshot!(error("cpus = 1", "cpus = 1\nmust_end = \"panic\""), @"scenario.toml:21:8: a run that must not complete brings nothing to expect of | -");
}

#[test]
fn a_name_twice() {
    let twice = format!("{GOOD}\n[[load]]\nname = \"load\"\ncommand = [\"true\"]\n");
    insta::assert_snapshot!(Scenario::parse("scenario.toml", &twice).unwrap_err(), @"scenario.toml:26:8: a second program named `load`");
}

#[test]
fn the_diagnostic_shows_the_place() {
    let error = Scenario::parse("scenario.toml", &GOOD.replace("cpus = 1", "cpu = 1")).unwrap_err();
    let mut text = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    handler.render_report(&mut text, &error).unwrap();
    insta::assert_snapshot!(text, @r"
     × scenario.toml:4:1: unknown key `cpu`
      ╭─[scenario.toml:4:1]
    3 │ deadline_wall_seconds = 20
    4 │ cpu = 1
      · ─┬─
      ·  ╰── here
    5 │ 
      ╰────
     help: did you mean `cpus`?
    ");
}

#[test]
fn builds() {
    let build = |from: &str, to: &str| {
        let build = "[[build]]\nfiles = [\"a.c\"]\ncommand = [\"cc\"]\noutputs = [\"a\"]\n";
        assert!(build.contains(from), "the test replaces nothing");
        error("[[load]]", &format!("{}\n[[load]]", build.replacen(from, to, 1)))
    };
    insta::assert_snapshot!(build("[\"cc\"]", "[]"), @"scenario.toml:11:11: the command is empty | -");
    insta::assert_snapshot!(build("[\"a\"]", "[]"), @"scenario.toml:12:11: a build that makes nothing | -");
    insta::assert_snapshot!(build("[\"a\"]", "[\"a\", \"a\"]"), @"scenario.toml:12:17: a second build makes `a` | -");
    insta::assert_snapshot!(build("[\"a\"]", "[\"out/a\"]"), @"scenario.toml:12:12: `out/a` cannot name a file or folder | use letters, digits, `-`, `_` and `.`");
    insta::assert_snapshot!(build("[\"a.c\"]", "[\"a\"]"), @"scenario.toml:10:10: `a` is what a build makes, not what it reads | one build may run several programs: `sh -c`");
    insta::assert_snapshot!(build("[\"a.c\"]", "[\"/etc/passwd\"]"), @"scenario.toml:10:10: `/etc/passwd` is not a file of the scenario | name a file below the scenario's folder, or `../SCENARIO/FILE` of another scenario");
    insta::assert_snapshot!(build("outputs", "output"), @"scenario.toml:12:1: unknown key `output` | did you mean `outputs`?");
}

#[test]
fn budgets() {
    let with = |budget: &str| {
        let probe = "[probe]\n";
        error(probe, &format!("{budget}\n{probe}"))
    };
    insta::assert_snapshot!(with("[budget.instructions_per_run.drop]\ndrop_packet = { \"6.12\" = -1 }"), @"scenario.toml:7:26: a budget is a number of instructions from 0 on | -");
    insta::assert_snapshot!(with("[budget.instructions_per_run.drop]\ndrop_packet = { \"6.12\" = { aya = 1 } }"), @"scenario.toml:7:26: expected a number of instructions, or one for each loader: { libbpf = 1.0, aya = 1.0 } | -");
    insta::assert_snapshot!(with("[budget]\ntolerance_percent = -0.5"), @"scenario.toml:7:21: a tolerance is a number of per cent from 0 on | -");
    insta::assert_snapshot!(with("[budget.instructions_per_event.drop]"), @"scenario.toml:6:9: unknown key `instructions_per_event` | did you mean `instructions_per_run`?");
    insta::assert_snapshot!(error("cpus = 1\n", "cpus = 1\nmust_fail = [\"budget\"]\n"), @"scenario.toml:5:14: unknown expectation `budget` | known here: counts");
    insta::assert_snapshot!(
        with("[budget]\n\n[[expect]]\nname = \"budget\"\nkind = \"value\"\nof = { source = \"probe\", series = \"x_total\" }\nis = 0"), @"scenario.toml:9:8: `budget` is the name of what `[budget]` says | -"
    );
}
