//! A matrix that takes what is there.

use std::fs;

use crate::{
    common::{SCENARIO, Said, assert_words, probelab, said, scenario},
    lab,
};
use serde_json::Value;
use wire::{GuestEnd, Output, Record};

fn matrix(folder: &tempfile::TempDir, arguments: &str) -> Said {
    let records = folder.path().display();
    said(&mut lab(&format!(
        "matrix canary --kernel 6.12 --records {records} {arguments}"
    )))
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_record_with_the_same_inputs_is_taken_and_a_failed_one_made_again_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let first = matrix(&folder, "");
    assert_eq!(first.code, 0, "{first:?}");
    assert!(!first.error.contains("not made again"), "{first:?}");
    let path = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let made: Record = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();

    let second = matrix(&folder, "");
    assert_eq!(second.code, 0, "{second:?}");
    assert_words(&second.error, &["1 of 1 runs were not made again"]);

    // A run of the same inputs that failed stays failed until it is asked for again.
    let mut failed = made.clone();
    failed
        .outputs
        .insert("load.count".into(), Output(b"canary_songs_total 42\n".to_vec()));
    failed.digest = failed.compute_digest();
    fs::write(&path, serde_json::to_string(&failed).unwrap()).unwrap();
    assert_eq!(matrix(&folder, "").code, 1);
    let again = matrix(&folder, "--rerun-failed");
    assert_eq!(again.code, 0, "{again:?}");
    let made_again: Record = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(made_again.digest, made.digest);

    // A record that was changed after it was made is none.
    let mut changed = failed.clone();
    changed.digest.clone_from(&made.digest);
    fs::write(&path, serde_json::to_string(&changed).unwrap()).unwrap();
    let again = matrix(&folder, "");
    assert_eq!(again.code, 0, "{again:?}");
    assert!(!again.error.contains("not made again"), "{again:?}");

    // Nor is one that says nothing of the guest.
    let mut lost = made;
    lost.end = GuestEnd::QemuLost {
        reason: "signal: 9 (SIGKILL)".into(),
    };
    lost.digest = lost.compute_digest();
    fs::write(&path, serde_json::to_string(&lost).unwrap()).unwrap();
    let again = matrix(&folder, "");
    assert_eq!(again.code, 0, "{again:?}");
    assert!(!again.error.contains("not made again"), "{again:?}");

    // Other inputs are another run.
    let mut other = failed;
    other.inputs_sha256 = "0".repeat(64);
    fs::write(&path, serde_json::to_string(&other).unwrap()).unwrap();
    let other = matrix(&folder, "");
    assert_eq!(other.code, 0, "{other:?}");
    assert!(!other.error.contains("not made again"), "{other:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_report_says_which_cells_of_its_matrix_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let first = matrix(&folder, "");
    assert_eq!(first.code, 0, "{first:?}");
    let report = |arguments: &str| {
        let records = folder.path().display();
        said(&mut probelab(&format!(
            "report {records} --format json {arguments}"
        )))
    };
    assert_eq!(report("").code, 0);

    let lacking = report("--kernel 6.12");
    assert_eq!(lacking.code, 69, "{lacking:?}");
    let json: Value = serde_json::from_str(&lacking.out).unwrap();
    let runs = json["runs"].as_array().unwrap();
    let list = said(&mut probelab("matrix --list --json --kernel 6.12"));
    let list: Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(runs.len(), list["cells"].as_array().unwrap().len());
    let of = |kind: &str| runs.iter().filter(|run| run["verdict"]["kind"] == kind).count();
    assert_eq!((of("passed"), of("infra")), (1, runs.len() - 1));

    // What is not to be run is not missed.
    let others = runs.iter().map(|run| run["scenario"].as_str().unwrap());
    let others: Vec<&str> = others.filter(|name| *name != "canary").collect();
    let denied = folder.path().join("DENYLIST");
    fs::write(&denied, others.join("\n")).unwrap();
    let whole = report(&format!("--kernel 6.12 --denylist {}", denied.display()));
    assert_eq!(whole.code, 0, "{whole:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_denied_cell_is_skipped_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("DENYLIST");
    fs::write(&list, "canary@6.12 # sings too loud\n").unwrap();
    let denied = matrix(&folder, &format!("--json --denylist {}", list.display()));
    assert_eq!(denied.code, 69, "nothing ran, which is no pass: {denied:?}");
    let json: Value = serde_json::from_str(&denied.out).unwrap();
    assert_eq!(json["runs"][0]["verdict"]["kind"], "skipped");
    let reason = json["runs"][0]["verdict"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("denied: sings too loud ("), "{reason}");
    assert_eq!(
        said(&mut probelab("matrix canary --list --kernel 6.12"))
            .out
            .trim(),
        "6.12   canary"
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_warning_of_the_kernel_reaches_the_console_and_fails_the_run() {
    let run = |message: &str| {
        let load = format!("command = [\"sh\", \"-c\", \"echo '{message}' > /dev/kmsg; echo a 1\"]");
        let text = SCENARIO.replace("command = [\"echo\", \"a 1\"]", &load);
        assert_ne!(text, SCENARIO, "the test replaces nothing");
        let folder = scenario(&[("scenario.toml", &text)]);
        said(&mut lab(&format!(
            "run {} --kernel 6.12",
            folder.path().display()
        )))
    };
    let warned = run("<4>WARNING: CPU: 0 PID: 1 at kernel/x.c:1 y+0x1/0x2");
    assert_eq!(warned.code, 1, "{warned:?}");
    assert_words(
        &warned.out,
        &[
            "the kernel complained: [",
            "WARNING: CPU: 0 PID: 1 at kernel/x.c:1",
        ],
    );
    // The same words as mere talk, and another warning.
    for message in ["<4>x: a WARNING: in passing", "<4>x: unusual"] {
        let said = run(message);
        assert_eq!(said.code, 0, "{message}: {said:?}");
    }
}
