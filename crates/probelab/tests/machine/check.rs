//! `probelab check` on objects that are built here, each of which shows one thing.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    common::{Said, compile, root, said},
    lab, passed,
};

/// Builds `tests/check/NAME.bpf.c`.
fn object(folder: &TempDir, name: &str, options: &[&str]) -> std::path::PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/check/{name}.bpf.c"));
    let out = folder.path().join(format!("{name}.bpf.o"));
    compile(&source, &out, options);
    out
}

const WITH_BTF: &[&str] = &["-g"];

/// Checks objects on 6.12 and returns what was said with its JSON.
fn check(objects: &[&Path], options: &str) -> (Said, Value) {
    let said = said(lab(&format!("check --kernel 6.12 --json {options}")).args(objects));
    let json = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    (said, json)
}

fn finding<'a>(json: &'a Value, object: &str) -> &'a Value {
    let objects = json["objects"].as_array().unwrap();
    let entry = objects
        .iter()
        .find(|entry| entry["finding"]["file_name"] == object);
    &entry.unwrap_or_else(|| panic!("no {object} in {json}"))["finding"]
}

fn program<'a>(finding: &'a Value, name: &str) -> &'a Value {
    let programs = finding["programs"].as_array().unwrap();
    let program = programs.iter().find(|program| program["program"] == name);
    program.unwrap_or_else(|| panic!("no {name} in {finding}"))
}

fn reason(program: &Value) -> &str {
    ["load", "attach", "fire"]
        .iter()
        .find_map(|step| program[step]["reason"].as_str())
        .unwrap_or("")
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn every_place_is_reached_and_every_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = object(&folder, "kinds", WITH_BTF);
    let (said, json) = check(&[&kinds], "--loader both");
    assert_eq!(said.code, 0, "{said:?}");
    for entry in json["objects"].as_array().unwrap() {
        let finding = &entry["finding"];
        assert!(entry["map_memory_bytes"].as_u64().unwrap() > 0, "{entry}");
        for program in finding["programs"].as_array().unwrap() {
            let expected = match program["program"].as_str().unwrap() {
                "on_uprobe_without_target" => "needs_target",
                _ => "",
            };
            assert_eq!(reason(program), expected, "{} {program}", finding["loader"]);
            if expected.is_empty() {
                assert!(program["runs"].as_u64().unwrap() > 0);
                let (run, empty) = (program["run_cost"].as_f64(), program["empty_run_cost"].as_f64());
                // Counting in a map is more work than nothing.
                assert!(run.unwrap() > empty.unwrap(), "{program}");
            }
        }
    }
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_refused_program_does_not_hide_the_others_and_its_log_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let rejected = object(&folder, "rejected", WITH_BTF);
    let (said, json) = check(&[&rejected], "--loader both");
    assert_eq!(said.code, 1, "{said:?}");
    for entry in json["objects"].as_array().unwrap() {
        let finding = &entry["finding"];
        let unchecked = program(finding, "unchecked");
        assert_eq!(reason(unchecked), "verifier_rejection");
        assert!(
            unchecked["load"]["words"]
                .as_str()
                .unwrap()
                .contains("map_value_or_null"),
            "{unchecked}"
        );
        assert!(!unchecked["log"].as_array().unwrap().is_empty());
        for name in ["first", "last"] {
            assert_eq!(program(finding, name)["fire"]["step"], "done", "{finding}");
        }
    }
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn what_is_absent_has_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let absent = object(&folder, "absent", WITH_BTF);
    let kfunc = object(&folder, "kfunc", WITH_BTF);
    let legacy = object(&folder, "legacy", WITH_BTF);
    let (said, json) = check(&[&absent, &kfunc, &legacy], "--loader libbpf");
    assert_eq!(said.code, 1, "{said:?}");
    let absent = finding(&json, "absent.bpf.o");
    for (name, expected) in [
        ("fine", ""),
        ("hook", "missing_hook"),
        ("typed_hook", "missing_hook"),
        ("helper", "unknown_helper"),
        ("field", "missing_kernel_field"),
        ("map", "unsupported_map_type"),
    ] {
        assert_eq!(reason(program(absent, name)), expected, "{absent}");
    }
    assert_eq!(
        reason(program(finding(&json, "kfunc.bpf.o"), "lent")),
        "missing_kernel_symbol"
    );
    assert_eq!(
        reason(program(finding(&json, "legacy.bpf.o"), "classify")),
        "legacy_map_definition"
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn aya_reads_the_old_map_definitions_that_libbpf_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let legacy = object(&folder, "legacy", &[]);
    let (said, json) = check(&[&legacy], "--loader aya");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        program(finding(&json, "legacy.bpf.o"), "classify")["fire"]["step"],
        "done"
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn an_object_as_go_toolchains_embed_it_does_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    // bpf2go has clang build for the oldest instruction set, and strips all but the type information.
    let kinds = object(&folder, "kinds", &["-g", "-mcpu=v1"]);
    let before = std::fs::metadata(&kinds).unwrap().len();
    let status = Command::new("bash")
        .args(["-c", "$(compgen -c llvm-strip | sort | head -n 1) -g \"$0\""])
        .arg(&kinds)
        .status()
        .unwrap();
    assert!(status.success() && std::fs::metadata(&kinds).unwrap().len() < before);
    let (said, json) = check(&[&kinds], "--loader both");
    assert_eq!(said.code, 0, "{said:?}");
    for entry in json["objects"].as_array().unwrap() {
        let programs = entry["finding"]["programs"].as_array().unwrap();
        let fired = programs
            .iter()
            .filter(|program| program["fire"]["step"] == "done");
        // All but the one that names no target.
        assert_eq!(fired.count(), programs.len() - 1, "{entry}");
    }
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn ready_made_tools_start() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("peers.xml");
    let said =
        said(lab("check --peers --kernel 6.12 --json --report").arg(format!("junit={}", junit.display())));
    let json: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(said.code, 1, "{said:?}");
    let objects = json["objects"].as_array().unwrap();
    let not_started: BTreeMap<String, String> = objects
        .iter()
        .map(|entry| &entry["finding"])
        .filter_map(|finding| {
            let reason = finding["whole"]["reason"].as_str()?;
            Some((finding["file_name"].as_str()?.to_owned(), reason.to_owned()))
        })
        .collect();
    let page = std::fs::read_to_string(root().join("docs/peers.md")).unwrap();
    assert_eq!(not_started, not_started_by(&page, "6.12"), "docs/peers.md");
    let words = format!("6.12 {},", objects.len() - not_started.len());
    assert!(page.contains(&words), "docs/peers.md does not say `{words}`");
    let words = format!("of {} start", objects.len());
    assert!(page.contains(&words), "docs/peers.md does not say `{words}`");
    // The same for a CI server, each tool a case.
    let cases = std::fs::read_to_string(&junit)
        .unwrap()
        .matches("<testcase ")
        .count();
    assert_eq!(cases, objects.len());
}

/// The tools that by the page's table do not start on a kernel, with the reason.
fn not_started_by(page: &str, kernel: &str) -> BTreeMap<String, String> {
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut rows = page.lines().filter(|line| line.starts_with('|')).map(cells);
    let column = rows
        .next()
        .unwrap()
        .iter()
        .position(|cell| cell == kernel)
        .unwrap();
    rows.skip(1)
        .map(|row| (row[1].clone(), row[column].clone()))
        .filter(|(_, word)| word != "yes")
        .collect()
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn objects_without_type_information_and_files_that_are_none_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let without = object(&folder, "rejected", &[]);
    let text = folder.path().join("text.bpf.o");
    std::fs::write(&text, "#!/bin/sh\n").unwrap();
    let (said, json) = check(&[&without, &text], "--loader libbpf");
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(finding(&json, "rejected.bpf.o")["whole"]["reason"], "missing_btf");
    assert_eq!(finding(&json, "text.bpf.o")["whole"]["reason"], "not_an_object");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_program_that_kills_the_checking_process_is_told_as_a_crash_and_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let kills = object(&folder, "kills", WITH_BTF);
    let rejected = object(&folder, "rejected", WITH_BTF);
    let (said, json) = check(&[&kills, &rejected], "--loader libbpf --need fire");
    assert_eq!(said.code, 1, "{said:?}");
    let kill = program(finding(&json, "kills.bpf.o"), "kill");
    assert_eq!(
        (kill["attach"]["step"].as_str(), reason(kill)),
        (Some("done"), "crashed")
    );
    let after = program(finding(&json, "rejected.bpf.o"), "last");
    assert_eq!(after["fire"]["step"], "done");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_check_is_exact_and_a_gate_of_none_holds_against_itself() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = object(&folder, "kinds", WITH_BTF);
    let old = folder.path().join("old.csv");
    let first = passed(lab("check --kernel 6.12 --csv").arg(&kinds));
    std::fs::write(&old, &first.out).unwrap();
    let gates = "--fail-on insns+0 --fail-on net+0 --fail-on prog_size_jited+0";
    let second = passed(
        lab(&format!("check --kernel 6.12 --csv {gates} --compare"))
            .arg(&old)
            .arg(&kinds),
    );
    assert_eq!(first.out, second.out);
    assert!(second.error.contains("0 changes, 0 gates broken"), "{second:?}");
    // The same object with one verified instruction less in the older check.
    let insns = |line: &str| -> u64 { line.split(',').nth(6).unwrap().parse().unwrap() };
    let line = first
        .out
        .lines()
        .find(|line| line.contains(",on_kprobe,"))
        .unwrap();
    let fields: Vec<&str> = line.split(',').collect();
    let fewer = (insns(line) - 1).to_string();
    let mut changed = fields.clone();
    changed[6] = &fewer;
    std::fs::write(&old, first.out.replace(line, &changed.join(","))).unwrap();
    let third = said(
        lab(&format!("check --kernel 6.12 --csv {gates} --compare"))
            .arg(&old)
            .arg(&kinds),
    );
    assert_eq!(third.code, 1, "{third:?}");
    assert!(third.error.contains("FAILED total_insns+0"), "{third:?}");
}
