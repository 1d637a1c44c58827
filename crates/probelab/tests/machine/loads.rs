//! What a scenario builds and runs, and how that ends.

use std::fs;

use crate::{
    common::{Said, assert_words, said, scenario_with},
    lab, passed,
};

/// Runs the scenario of the tests with another load.
fn run_load(command: &str) -> Said {
    let folder = scenario_with(r#""echo", "a 1""#, command);
    said(lab("run --kernel 6.12").arg(folder.path()))
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn what_is_true_passes_and_what_is_false_fails() {
    let good = run_load(r#""echo", "a 1""#);
    assert_eq!(good.code, 0, "{good:?}");
    let bad = run_load(r#""echo", "a 2""#);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.out.contains("must be 1"), "{bad:?}");
    let other = run_load(r#""echo", "b 1""#);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(
        other.out.contains("source `said` has no series `a`; it has b"),
        "{other:?}"
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_kernel_panic_has_its_own_exit_code_and_shows_the_console() {
    let said = run_load(r#""sh", "-c", "echo c > /proc/sysrq-trigger""#);
    assert_eq!(said.code, 255, "{said:?}");
    assert!(
        said.out
            .contains("Kernel panic - not syncing: sysrq triggered crash"),
        "{said:?}"
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_guest_that_hangs_is_given_up_by_either_clock() {
    let idle = run_load(r#""sleep", "1000""#);
    assert_eq!(idle.code, 1, "{idle:?}");
    assert!(
        idle.out
            .contains("not done after 20 s of guest time, during load `say`"),
        "{idle:?}"
    );
    let busy = run_load(r#""sh", "-c", "while true; do :; done""#);
    assert_eq!(busy.code, 1, "{busy:?}");
    assert!(busy.out.contains("nothing for 10 s of wall time"), "{busy:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_missing_compiler_is_the_lab_s_loss_and_is_named() {
    let build = "[[build]]\nfiles = []\ncommand = [\"no-such-compiler\"]\noutputs = [\"a\"]\n\n[[load]]";
    let folder = scenario_with("[[load]]", build);
    let said = said(lab("run --kernel 6.12").arg(folder.path()));
    assert_eq!(said.code, 69, "{said:?}");
    assert_words(
        &said.out,
        &["INFRA", "`no-such-compiler` was not found", "apt-get install"],
    );
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn a_program_that_is_built_here_runs_in_the_guest() {
    let folder = scenario_with(
        "[[load]]\nname = \"say\"\ncommand = [\"echo\", \"a 1\"]",
        r#"[[build]]
files = ["say.f90"]
command = ["gfortran", "-static", "-o", "say", "say.f90"]
outputs = ["say"]

[[load]]
name = "say"
command = ["./say"]
files = ["say"]"#,
    );
    fs::write(
        folder.path().join("say.f90"),
        "program say\n  print '(A)', 'a 1'\nend program\n",
    )
    .unwrap();
    passed(lab("run --kernel 6.12").arg(folder.path()));
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn every_mutant_is_caught_by_the_expectations_that_it_must_fail() {
    // The loader of `just test-vm`, whose records it takes.
    let said = passed(&mut lab("mutants --loader libbpf --json"));
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let mutants = report["mutants"].as_array().unwrap();
    let wrong_pairing = mutants
        .iter()
        .find(|mutant| mutant["mutant"] == "WRONG_PAIRING")
        .unwrap();
    assert_eq!(wrong_pairing["runs"][0]["scenario"], "http-latency-wrong-pairing");
    let caught_by = wrong_pairing["runs"][0]["caught_by"].as_array().unwrap();
    assert_eq!(caught_by, &["probe <= hey", "wire time", "buckets"]);
    assert!(mutants.iter().all(|mutant| mutant["caught"] == true), "{said:?}");
}

#[test]
#[ignore = "needs the static programs and QEMU: just test-vm"]
fn faults_are_told_apart_by_a_model_of_the_same_system() {
    passed(&mut lab("run state-drift --kernel 6.12"));
}
