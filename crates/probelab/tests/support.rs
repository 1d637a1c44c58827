//! The support table in the documents is made from records, and says so only of what is pinned and known today.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use common::root;
use report::Support;
use toml_edit::DocumentMut;
use vm::kernels::{LockFile, Set};

const AGAIN: &str =
    "it is made anew by `probelab matrix --loader both --records FOLDER`, then `probelab support FOLDER`";

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}; {AGAIN}"))
}

fn support() -> Support {
    serde_json::from_str(&read("docs/support.json")).unwrap()
}

#[test]
fn the_documents_are_made_from_the_summary() {
    let support = support();
    assert_eq!(support.to_json().unwrap(), read("docs/support.json"), "{AGAIN}");
    assert!(
        read("docs/support.md") == support.to_page(),
        "docs/support.md is stale; {AGAIN}"
    );
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once("<!-- made by `probelab support` -->\n")
        .unwrap();
    let (table, _) = rest
        .split_once("<!-- end of what `probelab support` made -->")
        .unwrap();
    assert!(
        table.trim() == support.to_table().trim(),
        "README.md is stale; {AGAIN}"
    );
}

#[test]
fn the_summary_is_of_the_kernels_that_are_pinned() {
    let lock = LockFile::read(&root().join("vm/kernels.lock")).unwrap();
    let pinned: Vec<(String, String)> = lock
        .kernels
        .into_iter()
        .filter(|pin| pin.sets.contains(&Set::Quick))
        .map(|pin| (pin.name, pin.version))
        .collect();
    let told: Vec<(String, String)> = support()
        .kernels
        .into_iter()
        .map(|kernel| (kernel.series, kernel.version))
        .collect();
    assert_eq!(told, pinned, "docs/support.json is stale; {AGAIN}");
}

/// Kinds of probes with the scenarios that show them, read without the program under test.
fn shown() -> BTreeMap<String, BTreeSet<String>> {
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in fs::read_dir(root().join("scenarios")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(scenario) = fs::read_to_string(folder.join("scenario.toml")) else {
            continue;
        };
        let scenario: DocumentMut = scenario.parse().unwrap();
        let is_of_these = ["must_fail", "must_end", "only_by_name"]
            .iter()
            .all(|key| !scenario.contains_key(key));
        let (Some(probe), true) = (scenario.get("probe"), is_of_these) else {
            continue;
        };
        let manifest = probe["manifest"].as_str().unwrap();
        let text = fs::read_to_string(folder.join(manifest)).unwrap();
        if !text.contains("apiVersion: probelab.dev/") {
            continue;
        }
        let kinds = text.lines().filter_map(|line| line.strip_prefix("kind:"));
        for kind in kinds {
            let scenarios = shown.entry(kind.trim().to_owned()).or_default();
            scenarios.insert(folder.display().to_string());
        }
    }
    shown
}

#[test]
fn the_summary_is_of_every_scenario_that_shows_a_probe() {
    let shown = shown();
    let support = support();
    let told: BTreeSet<String> = support.rows.iter().map(|row| row.probe.clone()).collect();
    assert_eq!(
        told,
        shown.keys().cloned().collect(),
        "docs/support.json is stale; {AGAIN}"
    );
    for row in &support.rows {
        for (kernel, standing) in &row.on {
            assert_eq!(
                standing.passed + standing.reasons.len(),
                shown[&row.probe].len(),
                "docs/support.json is stale for {} by {} on {kernel}; {AGAIN}",
                row.probe,
                row.loader
            );
        }
        assert_eq!(
            row.on.len(),
            support.kernels.len(),
            "docs/support.json lacks a kernel; {AGAIN}"
        );
    }
}
