//! Each format is what its readers take it for: told by a validator or a reader that is not ours, or that was written
//! from the format's own description. Each has a negative control, because a validator that accepts all says nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{path::Path, process::Command};

use common::{Runs, failed, ktap, passed};
use report::{Cell, Published, schema, to_json, to_junit, to_ktap, to_markdown, to_ndjson, to_svg};
use scenario::Judgement;
use serde_json::Value;
use wire::Loader;

/// One run of each verdict, one that may fail and does, and one that may and does not.
fn with_cells(test: impl Fn(&[Cell<'_>])) {
    let runs = Runs::new();
    let allowed = || Some("waits for a fix <upstream> & co #12".to_owned());
    let known = Judgement {
        allowed: allowed(),
        ..failed()
    };
    let needless = Judgement {
        allowed: allowed(),
        ..passed()
    };
    let mut cells = vec![
        runs.cell("http-latency", "6.12", 0, Some(0)),
        runs.cell("http-latency", "6.1", 1, Some(1)),
        runs.cell("http-latency", "5.10", 2, Some(2)),
        runs.cell("canary", "6.1", 3, None),
        runs.cell("canary", "5.4", 4, None),
    ];
    for (judgement, loader) in [(&known, Loader::Aya), (&needless, Loader::Libbpf)] {
        cells.push(Cell {
            judgement,
            loader: Some(loader),
            ..runs.cell("calls", "6.12", 0, Some(0))
        });
    }
    test(&cells);
}

/// What xmllint says of a text against a schema; empty when it is valid.
fn xmllint(xml: &str, arguments: &[&str]) -> String {
    let mut file = tempfile::Builder::new().suffix(".xml").tempfile().unwrap();
    std::io::Write::write_all(&mut file, xml.as_bytes()).unwrap();
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet"])
        .args(arguments)
        .arg(file.path())
        .output()
        .expect("this test needs xmllint: `ci/bootstrap` installs it (Debian: libxml2-utils)");
    match output.status.success() {
        true => String::new(),
        false => String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn junit_is_valid_by_its_schema() {
    let xsd = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/junit.xsd");
    with_cells(|cells| {
        let xml = to_junit(cells).unwrap();
        assert_eq!(xmllint(&xml, &["--schema", xsd]), "");
        for (from, to) in [
            ("<testcase", "<case"),
            (" classname=", " class="),
            ("<testsuites", "<suites"),
        ] {
            let broken = xml.replacen(from, to, 1).replacen(
                "</testsuites",
                &format!("</{}", &to[1..]),
                usize::from(to == "<suites"),
            );
            assert!(
                !xmllint(&broken, &["--schema", xsd]).is_empty(),
                "{to} was accepted"
            );
        }
    });
}

#[test]
fn junit_counts_every_verdict_where_ci_servers_look_for_it() {
    with_cells(|cells| {
        let xml = to_junit(cells).unwrap();
        let root = xml.lines().find(|line| line.starts_with("<testsuites")).unwrap();
        // Allowed, skipped and unsupported are all skipped.
        for count in ["tests=\"7\"", "failures=\"1\"", "errors=\"1\"", "skipped=\"3\""] {
            assert!(root.contains(count), "{count}: {root}");
        }
        assert!(xml.contains("&lt;upstream&gt; &amp; co #12"), "{xml}");
        assert!(!xml.contains('\u{1b}'), "control characters are no XML");
    });
}

#[test]
fn ktap_is_read_by_a_reader_of_its_own() {
    with_cells(|cells| {
        let text = to_ktap(cells);
        let kernels = ktap::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
        assert_eq!(names, ["linux 6.12", "linux 6.1", "linux 5.10", "linux 5.4"]);
        let good: Vec<bool> = kernels.iter().map(|kernel| kernel.is_ok).collect();
        assert_eq!(good, [true, false, false, true]);

        let of_612 = &kernels[0].subtests;
        assert_eq!(of_612.len(), 3);
        let expectations: Vec<(&str, bool)> = of_612[0]
            .subtests
            .iter()
            .map(|test| (test.name.as_str(), test.is_ok))
            .collect();
        assert_eq!(
            expectations,
            [("counts", true), ("wire time", true)],
            "a control that failed is ok"
        );
        let (word, reason) = of_612[1].directive.clone().unwrap();
        assert_eq!(word, "XFAIL");
        assert!(
            of_612[1].is_ok && !of_612[1].subtests[0].is_ok && reason.ends_with("co 12"),
            "{reason}"
        );
        let skipped = &kernels[1].subtests[1];
        assert_eq!(skipped.directive.as_ref().unwrap().0, "SKIP");
        let infra = &kernels[2].subtests[0];
        assert_eq!(
            (infra.is_ok, infra.directive.as_ref().unwrap().0.as_str()),
            (false, "ERROR")
        );
    });
}

#[test]
fn a_reader_of_ktap_that_accepts_all_would_say_nothing() {
    with_cells(|cells| {
        let text = to_ktap(cells);
        for (from, to) in [
            ("KTAP version 1", "TAP version 13"),
            ("1..4", "1..5"),
            ("ok 2 ", "ok 3 "),
            ("  1..3", "1..3"),
            ("    ok 1", "      ok 1"),
        ] {
            assert!(text.contains(from), "the test replaces nothing: {from}");
            assert!(
                ktap::read(&text.replacen(from, to, 1)).is_err(),
                "{from} → {to} was accepted"
            );
        }
    });
}

fn validator(of: Published) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&schema(of).unwrap()).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn json_is_valid_by_its_published_schema() {
    let validator = validator(Published::Report);
    with_cells(|cells| {
        let json: Value = serde_json::from_str(&to_json(cells).unwrap()).unwrap();
        if let Err(error) = validator.validate(&json) {
            panic!("{error} at {}", error.instance_path());
        }
        for pointer in [
            "/schema_version",
            "/runs/0/verdict/kind",
            "/runs/0/record/end",
            "/runs/0/results/0/compared",
        ] {
            let mut broken = json.clone();
            *broken.pointer_mut(pointer).unwrap() = "nonsense".into();
            assert!(!validator.is_valid(&broken), "{pointer} may be nonsense");
        }
    });
}

#[test]
fn every_event_is_valid_by_its_published_schema() {
    let validator = validator(Published::Event);
    with_cells(|cells| {
        let text = to_ndjson(cells).unwrap();
        let events: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for event in &events {
            if let Err(error) = validator.validate(event) {
                panic!("{error} at {}: {event}", error.instance_path());
            }
        }
        let words: Vec<&str> = events
            .iter()
            .map(|event| event["event"].as_str().unwrap())
            .collect();
        assert_eq!((words[0], words[8], words.len()), ("begin", "end", 9));
        assert!(words[1..8].iter().all(|word| *word == "run"));
        assert_eq!(events[8]["counts"]["failed"], 1);
        assert_eq!(events[8]["exit_code"], 1);
        assert!(!validator.is_valid(&serde_json::json!({"event": "pause"})));
    });
}

#[test]
fn the_published_schemas_are_those_of_the_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for (name, of) in [
        ("report", Published::Report),
        ("event", Published::Event),
        ("support", Published::Support),
        ("check", Published::Check),
    ] {
        let stored = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap_or_default();
        assert!(
            stored == schema(of).unwrap(),
            "crates/report/schema/{name}.json is stale; `probelab report --schema {name}` prints the new one. \
             A change that a reader could notice raises the schema's version."
        );
    }
}

#[test]
fn markdown() {
    with_cells(|cells| {
        insta::assert_snapshot!(to_markdown(cells));
    });
}

#[test]
fn the_picture_is_svg_with_the_words_of_the_terminal() {
    with_cells(|cells| {
        let svg = to_svg(&cells[3..], "probelab run <all>");
        assert_eq!(xmllint(&svg, &[]), "");
        assert!(
            svg.contains(">unsupported</tspan>") && svg.contains("$ probelab run &lt;all&gt;"),
            "{svg}"
        );
        assert!(!svg.contains('\u{1b}'));
        assert!(!xmllint(&svg.replace("</svg>", ""), &[]).is_empty());
    });
}

#[test]
fn nothing_is_a_report_too() {
    assert!(to_markdown(&[]).contains("nothing was run"));
    assert_eq!(ktap::read(&to_ktap(&[])), Ok(Vec::new()));
    assert!(to_junit(&[]).unwrap().contains("tests=\"0\""));
    assert_eq!(
        to_ndjson(&[]).unwrap().lines().last(),
        Some("{\"event\":\"end\",\"counts\":{},\"exit_code\":69}")
    );
    let json: Value = serde_json::from_str(&to_json(&[]).unwrap()).unwrap();
    assert_eq!(json["runs"], Value::Array(Vec::new()));
}
