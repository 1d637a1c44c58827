//! What people and programs read: every report of a small matrix with one run of each verdict.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

mod common;

use common::Runs;
use report::{Cell, Style, details, matrix, to_json};
use wire::Loader;

#[test]
fn the_matrix() {
    let runs = Runs::new();
    let cells = [
        runs.cell("http-latency", "6.12", 0, Some(0)),
        runs.cell("http-latency", "6.1", 1, Some(1)),
        runs.cell("http-latency", "5.10", 2, Some(2)),
        runs.cell("canary", "6.12", 0, Some(0)),
        runs.cell("canary", "6.1", 3, None),
        runs.cell("canary", "5.4", 4, None),
    ];
    insta::assert_snapshot!(matrix(&cells, Style::Plain), @r"
     scenario      6.12    6.1      5.10   5.4
     http-latency  passed  FAILED   INFRA  -
     canary        passed  skipped  -      unsupported

    http-latency on 6.1: FAILED
      1 expectation did not hold: `counts`
      FAILED: counts: 1 of 2 groups differ: status=500: probe 12, hey 13
      last console lines:
      | [    9.000000] console line 9 [2J
      | [    10.000000] console line 10 [2J
      | [    11.000000] console line 11 [2J
      | [    12.000000] console line 12 [2J
      | [    13.000000] console line 13 [2J
      | [    14.000000] console line 14 [2J
      | [    15.000000] console line 15 [2J
      | [    16.000000] console line 16 [2J
      | [    17.000000] console line 17 [2J
      | [    18.000000] console line 18 [2J
      | [    19.000000] console line 19 [2J
      | [    20.000000] console line 20 [2J
      again: probelab run http-latency --kernel 6.1 --seed 1

    http-latency on 5.10: INFRA
      QEMU was lost: killed by signal 9
        last word
      again: probelab run http-latency --kernel 6.1 --seed 1

    canary on 6.1: skipped
      no kernel of this series in the set

    canary on 5.4: unsupported
      no-ringbuf: 5.4 has no ring buffer

    kernel drift:
      6.1: linux-image-6.1-cloud-amd64 6.1.9-1 ran in place of the pinned 6.1.7-1

    2 passed, 1 FAILED, 1 INFRA, 1 unsupported, 1 skipped
    ");
}

#[test]
fn the_details_of_one_scenario() {
    let runs = Runs::new();
    let cells = [
        runs.cell("http-latency", "6.12", 0, Some(0)),
        runs.cell("http-latency", "5.10", 3, None),
    ];
    insta::assert_snapshot!(details(&cells, Style::Plain), @r"
     kernel  verdict  compared  digest        guest s  wall s  cache
     6.12    passed   1724      0123456789ab  72.346   31.25   warm
     5.10    skipped  0         -             -        -       -

    evidence on 6.12:
      held: counts: 2 groups equal in probe and hey: status=200: 1711; status=500: 13
      failed as it must: wire time: 1724 of 1724 are further apart than 50.000 µs

    http-latency on 5.10: skipped
      no kernel of this series in the set

    1 passed, 1 skipped
    ");
}

#[test]
fn two_loaders_are_told_apart() {
    let runs = Runs::new();
    let with = |loader, scenario, judgement| Cell {
        loader,
        ..runs.cell(scenario, "6.12", judgement, None)
    };
    let cells = [
        with(None, "canary", 0),
        with(Some(Loader::Libbpf), "http-latency", 0),
        with(Some(Loader::Aya), "http-latency", 1),
    ];
    insta::assert_snapshot!(matrix(&cells, Style::Plain), @r"
     scenario               6.12
     canary                 passed
     http-latency (libbpf)  passed
     http-latency (aya)     FAILED

    http-latency (aya) on 6.12: FAILED
      1 expectation did not hold: `counts`
      FAILED: counts: 1 of 2 groups differ: status=500: probe 12, hey 13

    2 passed, 1 FAILED
    ");
    insta::assert_snapshot!(details(&cells[1..], Style::Plain), @r"
     kernel         verdict  compared  digest  guest s  wall s  cache
     6.12 (libbpf)  passed   1724      -       -        -       -
     6.12 (aya)     FAILED   1724      -       -        -       -

    evidence on 6.12:
      held: counts: 2 groups equal in probe and hey: status=200: 1711; status=500: 13
      failed as it must: wire time: 1724 of 1724 are further apart than 50.000 µs

    http-latency (aya) on 6.12: FAILED
      1 expectation did not hold: `counts`
      FAILED: counts: 1 of 2 groups differ: status=500: probe 12, hey 13

    1 passed, 1 FAILED
    ");
    let one_loader = matrix(&cells[..2], Style::Plain);
    assert!(!one_loader.contains("libbpf"), "{one_loader}");
}

#[test]
fn nothing_run_is_said() {
    insta::assert_snapshot!(matrix(&[], Style::Plain), @r"
     scenario

    nothing was run, which is not a pass
    ");
}

#[test]
fn a_seed_that_fails_does_not_hide_behind_one_that_passes() {
    let runs = Runs::new();
    let cells = [0, 1, 0].map(|judgement| runs.cell("canary", "6.12", judgement, None));
    assert!(matrix(&cells, Style::Plain).contains("canary    passed/FAILED"));
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let runs = Runs::new();
    let cells = [
        runs.cell("http-latency", "6.12", 0, Some(0)),
        runs.cell("canary", "6.1", 1, Some(1)),
    ];
    let plain = matrix(&cells, Style::Plain);
    let coloured = matrix(&cells, Style::Coloured);
    assert!(
        !plain.contains('\u{1b}'),
        "a guest's escapes must not reach the terminal"
    );
    assert!(coloured.contains("\u{1b}[31mFAILED\u{1b}[0m"));
    let bare = ["\u{1b}[32m", "\u{1b}[31m", "\u{1b}[0m"]
        .iter()
        .fold(coloured, |text, code| text.replace(code, ""));
    assert_eq!(bare, plain);
}

#[test]
fn json() {
    let runs = Runs::new();
    let cells = [
        Cell {
            loader: Some(Loader::Libbpf),
            ..runs.cell("http-latency", "6.1", 1, Some(1))
        },
        runs.cell("canary", "5.4", 4, None),
    ];
    insta::assert_snapshot!(to_json(&cells).unwrap(), @r#"
    {
      "schema_version": 3,
      "runs": [
        {
          "scenario": "http-latency",
          "kernel": "6.1",
          "loader": "libbpf",
          "probes": [],
          "verdict": {
            "kind": "failed",
            "reason": "1 expectation did not hold: `counts`"
          },
          "results": [
            {
              "name": "counts",
              "held": false,
              "must_fail": false,
              "compared": 1724,
              "evidence": "1 of 2 groups differ: status=500: probe 12, hey 13"
            }
          ],
          "note": null,
          "kernel_broke": false,
          "allowed": null,
          "compared": 1724,
          "replay": "probelab run http-latency --kernel 6.1 --seed 1",
          "record": {
            "seed": 1,
            "lane": "virtual",
            "kernel": {
              "series": "6.1",
              "package": "linux-image-6.1-cloud-amd64",
              "version": "6.1.9-1",
              "sha256": "abababababababababababababababababababababababababababababababab",
              "stands_in_for": "6.1.7-1"
            },
            "kernel_release": "6.1.9-cloud-amd64",
            "qemu": "QEMU emulator version 10.0.2",
            "end": {
              "kind": "completed"
            },
            "inputs_sha256": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
            "digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "guest_end_ns": 72345678901,
            "timing": {
              "start_to_first_instruction_seconds": 0.08,
              "total_seconds": 31.25,
              "warm": true
            }
          }
        },
        {
          "scenario": "canary",
          "kernel": "5.4",
          "loader": null,
          "probes": [],
          "verdict": {
            "kind": "unsupported",
            "code": "no-ringbuf",
            "reason": "5.4 has no ring buffer"
          },
          "results": [],
          "note": null,
          "kernel_broke": false,
          "allowed": null,
          "compared": 0,
          "replay": null,
          "record": null
        }
      ]
    }
    "#);
}
