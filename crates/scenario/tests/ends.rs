//! How a run ended, and what that makes of it.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test that cannot go on stops the test"
)]

use std::collections::BTreeMap;

use scenario::{Evidence, ExitCode, Judgement, Scenario, Verdict, exit_code, judge};
use wire::{GuestEnd, Output};

const CANARY: &str = include_str!("../../../scenarios/canary/scenario.toml");
const PANIC: &str = include_str!("../../../scenarios/broken-panic/scenario.toml");
const SILENT_PROBE: &str = include_str!("../../../scenarios/broken-silent-probe/scenario.toml");

fn judged(text: &str, end: GuestEnd, outputs: &[(&str, &str)]) -> Judgement {
    judged_with_console(text, end, outputs, "[    0.000000] Linux version 6.12\n")
}

fn judged_with_console(text: &str, end: GuestEnd, outputs: &[(&str, &str)], console: &str) -> Judgement {
    let scenario = Scenario::parse("scenario.toml", text).unwrap();
    let output = |(name, text): &(&str, &str)| ((*name).to_owned(), Output(text.as_bytes().to_vec()));
    let outputs: BTreeMap<String, Output> = outputs.iter().map(output).collect();
    judge(
        &scenario,
        Evidence {
            end: &end,
            outputs: &outputs,
            console,
            counted_on: None,
            capture_text: None,
        },
    )
}

fn panic() -> GuestEnd {
    GuestEnd::Panic {
        line: "Kernel panic - not syncing: sysrq triggered crash".to_owned(),
    }
}

#[test]
fn the_canary_fails_as_it_must() {
    let judgement = judged(
        CANARY,
        GuestEnd::Completed,
        &[("load.count", "canary_songs_total 41\n")],
    );
    assert_eq!(judgement.verdict, Verdict::Passed);
    assert_eq!(
        judgement.note.as_deref(),
        Some("failed as it must: a false statement")
    );
}

#[test]
fn a_canary_that_sings_is_no_pass() {
    let judgement = judged(
        CANARY,
        GuestEnd::Completed,
        &[("load.count", "canary_songs_total 42\n")],
    );
    assert!(matches!(judgement.verdict, Verdict::Failed { .. }));
    let judgement = judged(CANARY, GuestEnd::Completed, &[]);
    assert!(
        matches!(judgement.verdict, Verdict::Failed { .. }),
        "nothing was compared"
    );
}

#[test]
fn a_kernel_that_complains_fails_a_run_that_would_pass() {
    let song = [("load.count", "canary_songs_total 41\n")];
    let line = "[    9.000000] WARNING: CPU: 0 PID: 1 at kernel/bpf/core.c:1 x+0x1/0x2";
    let console = format!("[    0.000000] Linux version 6.12\n{line}\n");
    let judgement = judged_with_console(CANARY, GuestEnd::Completed, &song, &console);
    let reason = format!("the kernel complained: {line}");
    assert_eq!(judgement.verdict, Verdict::Failed { reason });
    assert!(!judgement.kernel_broke, "a warning is no panic");
    // What a guest that must panic says on its way is what it was asked for.
    let judgement = judged_with_console(PANIC, panic(), &[], &console);
    assert_eq!(judgement.verdict, Verdict::Passed);
}

#[test]
fn a_panic_has_its_own_exit_code_unless_it_was_asked_for() {
    let wanted = judged(PANIC, panic(), &[]);
    assert_eq!(wanted.verdict, Verdict::Passed);
    assert_eq!(exit_code([&wanted]), ExitCode::Passed);

    let unwanted = judged(CANARY, panic(), &[]);
    let reason = "kernel panic: Kernel panic - not syncing: sysrq triggered crash".to_owned();
    assert_eq!(unwanted.verdict, Verdict::Failed { reason });
    assert_eq!(exit_code([&wanted, &unwanted]), ExitCode::KernelBroke);
}

#[test]
fn a_guest_that_should_have_broken_and_did_not_is_a_failure() {
    let judgement = judged(PANIC, GuestEnd::Completed, &[]);
    let reason = "it must end with `panic`, but: completed".to_owned();
    assert_eq!(judgement.verdict, Verdict::Failed { reason });
}

#[test]
fn a_lost_qemu_says_nothing_about_the_guest() {
    for text in [CANARY, PANIC] {
        let judgement = judged(
            text,
            GuestEnd::QemuLost {
                reason: "signal 9".to_owned(),
            },
            &[],
        );
        assert!(matches!(judgement.verdict, Verdict::Infra { .. }));
        assert_eq!(exit_code([&judgement]), ExitCode::CouldNotRun);
    }
}

#[test]
fn a_silent_probe_is_seen_by_what_it_counted() {
    let metrics =
        "# TYPE probelab_hits_unaccounted gauge\nprobelab_hits_unaccounted{probe=\"http\"} 0\n# EOF\n";
    let judgement = judged(SILENT_PROBE, GuestEnd::Completed, &[("metrics", metrics)]);
    assert_eq!(judgement.verdict, Verdict::Passed, "{judgement:#?}");
    let dead = judged(SILENT_PROBE, GuestEnd::Completed, &[("metrics", "")]);
    assert!(
        matches!(dead.verdict, Verdict::Failed { .. }),
        "a dead daemon is no silent probe"
    );
}
