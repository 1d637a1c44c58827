//! Equal inputs give equal records, on every kernel.

use std::fs;

use crate::{lab, lab_in, own_cache, passed};

pub fn digest(report: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(report).expect(report);
    let text = report.to_string();
    let (_, rest) = text.split_once("\"digest\":\"").expect("the report has a digest");
    rest[..64].to_owned()
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn two_cold_boots_with_two_restores_each_have_one_digest() {
    const RUN: &str = "run http-cost --kernel 6.12 --seed 1 --json";
    // One boot of its own, and the one whose checkpoint the user's cache has from some other day.
    let cache = own_cache();
    let mut digests = Vec::new();
    for mut command in [lab_in(&cache, RUN), lab_in(&cache, RUN), lab(RUN), lab(RUN)] {
        digests.push(digest(&passed(&mut command).out));
    }
    digests.dedup();
    assert_eq!(
        digests.len(),
        1,
        "{digests:?}; may boots be exact here? realtime threads: {}",
        vm::may_have_realtime_threads()
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn another_seed_is_another_run_and_a_record_replays_to_its_digest() {
    let records = tempfile::tempdir().unwrap();
    let run = |seed: u32| {
        let mut command = lab(&format!("run http-cost --kernel 6.12 --json --seed {seed}"));
        digest(&passed(command.arg("--records").arg(records.path())).out)
    };
    assert_ne!(run(1), run(2));
    let record = records.path().join("http-cost-6.12-virtual-aya-2.json");
    let replayed = passed(lab("replay").arg(record));
    assert!(replayed.out.ends_with("equal\n"), "{replayed:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn metrics_of_every_kernel_have_the_same_series() {
    let records = tempfile::tempdir().unwrap();
    let mut command = lab("run http-cost --kernel all");
    passed(command.arg("--records").arg(records.path()));
    for kernel in ["5.10", "6.1", "6.12", "6.18", "7.2"] {
        let text = fs::read_to_string(
            records
                .path()
                .join(format!("http-cost-{kernel}-virtual-aya-1.json")),
        )
        .unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let metrics = record["outputs"]["metrics"]["text"].as_str().unwrap();
        insta::assert_snapshot!(format!("metrics-{kernel}"), normalised(metrics));
    }
}

/// The series without their numbers, which follow the workload and the kernel build.
fn normalised(metrics: &str) -> String {
    metrics
        .lines()
        .map(|line| match line.rsplit_once(' ') {
            Some((series, _)) if !line.starts_with('#') => format!("{series} <number>\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}
