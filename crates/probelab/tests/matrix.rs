//! `matrix` and `report` without a machine: what would run, whose part it is, and what stored records come to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::{Said, assert_error, assert_words, probelab, said};
use serde_json::Value;
use tempfile::TempDir;
use wire::{GuestEnd, KernelIdentity, Lane, Output, Record, Timing};

fn list(arguments: &str) -> Value {
    let said = said(&mut probelab(&format!("matrix --list --json {arguments}")));
    assert_eq!(said.code, 0, "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

fn cells(list: &Value) -> Vec<Value> {
    list["cells"].as_array().unwrap().clone()
}

#[test]
fn the_list_names_every_scenario_on_every_kernel_of_the_quick_set() {
    let all = list("--loader both");
    let scenarios = said(&mut probelab("list --json"));
    let mut scenarios: Vec<Value> = serde_json::from_str(&scenarios.out).unwrap();
    scenarios.retain(|scenario| scenario["only_by_name"].is_null());
    let kernels = said(&mut probelab("kernels list --json"));
    let mut kernels: Vec<Value> = serde_json::from_str(&kernels.out).unwrap();
    kernels.retain(|kernel| kernel["sets"].as_array().unwrap().contains(&"quick".into()));
    assert_eq!(all["scenarios"].as_array().unwrap().len(), scenarios.len());
    assert_eq!(all["kernels"].as_array().unwrap().len(), kernels.len());
    let of_canary = |cell: &&Value| cell["scenario"] == "canary";
    let of_cost = |cell: &&Value| cell["scenario"] == "http-cost";
    assert_eq!(
        cells(&all).iter().filter(of_canary).count(),
        kernels.len(),
        "no probe, no loader"
    );
    assert_eq!(cells(&all).iter().filter(of_cost).count(), 2 * kernels.len());
}

#[test]
fn the_shards_are_the_whole_and_nothing_twice() {
    let all = cells(&list("--loader both"));
    let parts: Vec<Vec<Value>> = (1..=8)
        .map(|index| cells(&list(&format!("--loader both --shard {index}/8"))))
        .collect();
    assert!(parts.iter().all(|part| !part.is_empty()));
    assert_eq!(parts.concat(), all);
    let again = cells(&list("--loader both --shard 3/8"));
    assert_eq!(again, parts[2], "the same question has the same answer");
    assert_error(
        &said(&mut probelab("matrix --list --shard 9/8")),
        2,
        &["`9/8` is no shard"],
    );
}

#[test]
fn denied_cells_are_not_listed_and_entries_for_nothing_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("DENYLIST");
    fs::write(&file, "canary@6.12 # sings\nno-such-*\n").unwrap();
    let said = said(&mut probelab(&format!(
        "matrix canary --list --denylist {}",
        file.display()
    )));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        !said.out.contains("6.12 ") && said.out.contains("6.1 "),
        "{said:?}"
    );
    assert_words(&said.error, &["DENYLIST:2 fits no scenario on any kernel"]);
}

#[test]
fn a_list_that_is_none_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ALLOWLIST");
    fs::write(&file, "canary\n@6.12\n").unwrap();
    let said = said(&mut probelab(&format!(
        "matrix --list --allowlist {}",
        file.display()
    )));
    assert_error(
        &said,
        2,
        &["ALLOWLIST:2: `@6.12` is no entry of a list", "a line is SCENARIO"],
    );
}

#[test]
fn a_report_that_does_not_exist_names_those_that_do() {
    let said = said(&mut probelab("matrix --list --report tap=x"));
    assert_error(&said, 2, &["there is no report `tap`", "ktap"]);
}

/// A run of the canary, which counts to 41 and is asked for 42.
fn canary(series: &str, song: u32, console: &str) -> Record {
    let mut record = Record {
        schema_version: Record::SCHEMA_VERSION,
        scenario: "canary".into(),
        seed: 1,
        lane: Lane::Virtual,
        loader: None,
        kernel: KernelIdentity {
            series: series.into(),
            package: "linux-image".into(),
            version: format!("{series}.1-1"),
            sha256: "0".into(),
            stands_in_for: None,
        },
        rootfs_sha256: "ef".repeat(32),
        inputs_sha256: "0".into(),
        qemu: "QEMU emulator version 10.0.2".into(),
        end: GuestEnd::Completed,
        kernel_release: format!("{series}.1-amd64"),
        guest_end_ns: 1,
        outputs: BTreeMap::from([(
            "load.count".into(),
            Output(format!("canary_songs_total {song}\n").into_bytes()),
        )]),
        console: console.into(),
        digest: String::new(),
        timing: Timing::default(),
    };
    record.digest = record.compute_digest();
    record
}

fn store(folder: &Path, record: &Record) {
    let name = format!("{}-{}.json", record.scenario, record.kernel.series);
    fs::write(folder.join(name), serde_json::to_string(record).unwrap()).unwrap();
}

const TALK: &str = "[    0.000000] Linux version\n";
const SPLAT: &str =
    "[    0.000000] Linux version\n[    1.000000] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 y+0x1/0x2\n";

/// A folder with a run that passes, one that fails and one whose kernel complained.
fn records() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), &canary("6.12", 41, TALK));
    store(folder.path(), &canary("6.1", 42, TALK));
    store(folder.path(), &canary("5.10", 41, SPLAT));
    folder
}

fn report(folder: &TempDir, arguments: &str) -> Said {
    said(&mut probelab(&format!(
        "report {} {arguments}",
        folder.path().display()
    )))
}

#[test]
fn stored_records_are_judged_and_a_complaint_of_the_kernel_fails_one() {
    let folder = records();
    let said = report(&folder, "--format json");
    assert_eq!(said.code, 1, "{said:?}");
    let json: Value = serde_json::from_str(&said.out).unwrap();
    let kinds: Vec<(&str, &str)> = json["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            (
                run["kernel"].as_str().unwrap(),
                run["verdict"]["kind"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(kinds, [("5.10", "failed"), ("6.1", "failed"), ("6.12", "passed")]);
    let reason = json["runs"][0]["verdict"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the kernel complained: ") && reason.contains("WARNING"),
        "{reason}"
    );
}

#[test]
fn what_may_fail_does_not_fail_the_whole_and_a_pass_of_it_is_told() {
    let folder = records();
    let list = folder.path().join("ALLOWLIST");
    fs::write(
        &list,
        "canary@6.12 # was broken once\ncanary@6.1 # sings\ncanary@5.10 # a warning at boot\n",
    )
    .unwrap();
    let said = report(&folder, &format!("--allowlist {}", list.display()));
    assert_eq!(said.code, 0, "{said:?}");
    assert_words(
        &said.out,
        &[
            "1 passed, 2 allowed",
            "allowed: sings",
            "canary on 6.12 passes, though it may fail: was broken once",
        ],
    );
    fs::write(&list, "canary@6.1\n").unwrap();
    assert_eq!(
        report(&folder, &format!("--allowlist {}", list.display())).code,
        1
    );
}

#[test]
fn a_record_that_was_changed_proves_nothing_and_what_is_no_record_is_told() {
    let folder = records();
    let path = folder.path().join("canary-6.12.json");
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace("canary_songs_total 41", "canary_songs_total 40");
    fs::write(&path, text).unwrap();
    fs::write(folder.path().join("other.json"), "{}").unwrap();
    let said = report(&folder, "");
    assert_words(&said.out, &["its digest differs", "1 INFRA"]);
    assert_words(
        &said.error,
        &["left out:", "other.json is not a record of this version"],
    );
}

#[test]
fn every_format_is_printed_and_written() {
    let folder = records();
    let formats = [
        ("text", "canary"),
        ("json", "\"schema_version\""),
        ("ndjson", "{\"event\":\"begin\""),
        ("junit", "<testsuites"),
        ("ktap", "KTAP version 1"),
        ("markdown", "## Probelab"),
        ("html", "<!doctype html>"),
        ("svg", "<svg"),
    ];
    let files: Vec<String> = formats
        .iter()
        .map(|(format, _)| format!("{format}={}", folder.path().join(format).display()))
        .collect();
    report(&folder, &format!("--report {}", files.join(",")));
    for (format, words) in formats {
        let said = report(&folder, &format!("--format {format}"));
        assert!(said.out.contains(words), "{format}: {said:?}");
        assert_eq!(
            fs::read_to_string(folder.path().join(format)).unwrap(),
            said.out,
            "{format}"
        );
    }
}

#[test]
fn an_empty_folder_is_no_report() {
    let folder = tempfile::tempdir().unwrap();
    assert_error(
        &report(&folder, ""),
        2,
        &["there is no record in", "leaves records there"],
    );
}

#[test]
fn a_schema_is_printed_as_it_is_stored() {
    for name in ["report", "event", "support"] {
        let said = said(&mut probelab(&format!("report --schema {name}")));
        let path = common::root().join(format!("crates/report/schema/{name}.json"));
        assert_eq!(said.out, fs::read_to_string(path).unwrap());
    }
}
