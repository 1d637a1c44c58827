//! A small matrix with one run of each verdict.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of it; a test may panic"
)]

pub mod ktap;
pub mod wide;

use std::collections::BTreeMap;

use report::Cell;
use scenario::{ExpectationResult, Judgement, Verdict};
use wire::{GuestEnd, KernelIdentity, Lane, Record, Timing};

pub fn record(series: &str, stands_in_for: Option<&str>) -> Record {
    Record {
        schema_version: Record::SCHEMA_VERSION,
        scenario: "http-latency".to_owned(),
        seed: 1,
        lane: Lane::Virtual,
        loader: None,
        kernel: KernelIdentity {
            series: series.to_owned(),
            package: format!("linux-image-{series}-cloud-amd64"),
            version: format!("{series}.9-1"),
            sha256: "ab".repeat(32),
            stands_in_for: stands_in_for.map(str::to_owned),
        },
        rootfs_sha256: "ef".repeat(32),
        inputs_sha256: "cd".repeat(32),
        qemu: "QEMU emulator version 10.0.2".to_owned(),
        end: GuestEnd::Completed,
        kernel_release: format!("{series}.9-cloud-amd64"),
        guest_end_ns: 72_345_678_901,
        outputs: BTreeMap::new(),
        console: (1..=20)
            .map(|line| format!("[    {line}.000000] console line {line}\u{1b}[2J\n"))
            .collect(),
        digest: "0123456789abcdef".repeat(4),
        timing: Timing {
            start_to_first_instruction_seconds: 0.08,
            total_seconds: 31.25,
            warm: true,
        },
    }
}

pub fn result(name: &str, held: bool, must_fail: bool, evidence: &str) -> ExpectationResult {
    let evidence = evidence.to_owned();
    ExpectationResult {
        name: name.to_owned(),
        held,
        must_fail,
        compared: 1724,
        evidence,
    }
}

pub fn passed() -> Judgement {
    Judgement {
        verdict: Verdict::Passed,
        results: vec![
            result(
                "counts",
                true,
                false,
                "2 groups equal in probe and hey: status=200: 1711; status=500: 13",
            ),
            result(
                "wire time",
                false,
                true,
                "1724 of 1724 are further apart than 50.000 µs",
            ),
        ],
        note: Some("failed as it must: wire time".to_owned()),
        kernel_broke: false,
        allowed: None,
    }
}

pub fn failed() -> Judgement {
    Judgement {
        verdict: Verdict::Failed {
            reason: "1 expectation did not hold: `counts`".to_owned(),
        },
        results: vec![result(
            "counts",
            false,
            false,
            "1 of 2 groups differ: status=500: probe 12, hey 13",
        )],
        ..Judgement::infra("")
    }
}

pub struct Runs {
    pub judgements: [Judgement; 5],
    pub records: [Record; 3],
}

impl Runs {
    pub fn new() -> Self {
        Self {
            judgements: [
                passed(),
                failed(),
                Judgement::infra("QEMU was lost: killed by signal 9\nlast word"),
                Judgement::skipped("no kernel of this series in the set"),
                Judgement::unsupported("no-ringbuf", "5.4 has no ring buffer"),
            ],
            records: [
                record("6.12", None),
                record("6.1", Some("6.1.7-1")),
                Record {
                    console: String::new(),
                    ..record("5.10", None)
                },
            ],
        }
    }

    pub fn cell<'a>(
        &'a self,
        scenario: &'a str,
        kernel: &'a str,
        judgement: usize,
        record: Option<usize>,
    ) -> Cell<'a> {
        Cell {
            scenario,
            kernel,
            loader: None,
            probes: &[],
            record: record.map(|index| &self.records[index]),
            judgement: &self.judgements[judgement],
            replay: record.map(|_| "probelab run http-latency --kernel 6.1 --seed 1"),
        }
    }
}
