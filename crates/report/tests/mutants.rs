//! The report about mutants: caught, survived, without a scenario, and runs that could not be made.

use report::{Cell, Mutant, Style, mutants_exit_code, mutants_text, mutants_to_json};
use scenario::{ExitCode, ExpectationResult, Judgement, Verdict};

fn judgement(verdict: Verdict, must_fail: &[(&str, bool)]) -> Judgement {
    let result = |(name, held): &(&str, bool)| ExpectationResult {
        name: (*name).to_owned(),
        held: *held,
        must_fail: true,
        compared: 7,
        evidence: "seven values".to_owned(),
    };
    Judgement {
        verdict,
        results: must_fail.iter().map(result).collect(),
        ..Judgement::infra("")
    }
}

fn caught() -> Judgement {
    judgement(Verdict::Passed, &[("wire time", false), ("buckets", false)])
}

fn survived() -> Judgement {
    let reason = "the negative control was not caught, this must fail but held: `counts`".to_owned();
    judgement(Verdict::Failed { reason }, &[("counts", true)])
}

fn cell<'a>(scenario: &'a str, kernel: &'a str, judgement: &'a Judgement) -> Cell<'a> {
    Cell {
        scenario,
        kernel,
        loader: None,
        probes: &[],
        record: None,
        judgement,
        replay: None,
    }
}

fn mutant<'a>(name: &'a str, cells: Vec<Cell<'a>>) -> Mutant<'a> {
    Mutant {
        name,
        control: name.to_lowercase().replace('_', "-"),
        files: vec!["bpf/http.bpf.c".to_owned()],
        cells,
    }
}

#[test]
fn caught_mutants_pass() {
    let caught = caught();
    let cells = ["6.1", "6.12"].map(|kernel| cell("wrong-pairing", kernel, &caught));
    let mutants = [mutant("WRONG_PAIRING", cells.to_vec())];
    insta::assert_snapshot!(mutants_text(&mutants, Style::Plain), @r"
     mutant         scenario       6.1     6.12    caught by
     WRONG_PAIRING  wrong-pairing  caught  caught  wire time, buckets

    1 caught
    ");
    assert_eq!(mutants_exit_code(&mutants), ExitCode::Passed);
    insta::assert_snapshot!(mutants_to_json(&mutants[..]).unwrap().lines().take(22).collect::<Vec<_>>().join("\n"), @r#"
    {
      "schema_version": 3,
      "mutants": [
        {
          "mutant": "WRONG_PAIRING",
          "control": "wrong-pairing",
          "files": [
            "bpf/http.bpf.c"
          ],
          "caught": true,
          "runs": [
            {
              "scenario": "wrong-pairing",
              "kernel": "6.1",
              "loader": null,
              "caught": true,
              "caught_by": [
                "wire time",
                "buckets"
              ],
              "verdict": {
                "kind": "passed"
    "#);
}

#[test]
fn a_survivor_and_a_mutant_without_a_scenario_are_failures() {
    let (caught, survived) = (caught(), survived());
    let caught = mutant("WRONG_PAIRING", vec![cell("wrong-pairing", "6.12", &caught)]);
    let survived = mutant("NO_DELETE", vec![cell("no-delete", "6.12", &survived)]);
    let alone = mutant("STALE_ENTRY", Vec::new());
    assert_eq!(
        mutants_exit_code(std::slice::from_ref(&survived)),
        ExitCode::Failed
    );
    assert_eq!(mutants_exit_code(std::slice::from_ref(&alone)), ExitCode::Failed);
    insta::assert_snapshot!(mutants_text(&[caught, survived, alone], Style::Plain), @r"
     mutant         scenario       6.12      caught by
     WRONG_PAIRING  wrong-pairing  caught    wire time, buckets
     NO_DELETE      no-delete      SURVIVED
     STALE_ENTRY    -              -

    STALE_ENTRY (bpf/http.bpf.c) is caught by nothing: no scenario has `control: stale-entry`

    no-delete on 6.12: FAILED
      the negative control was not caught, this must fail but held: `counts`
      held, but must FAIL: counts: seven values

    1 caught, 1 NOT CAUGHT, 1 WITHOUT SCENARIO
    ");
}

#[test]
fn a_pass_in_which_nothing_had_to_fail_says_nothing_about_the_mutant() {
    let silent = judgement(Verdict::Passed, &[]);
    let mutants = [mutant(
        "WRONG_PAIRING",
        vec![cell("http-latency", "6.12", &silent)],
    )];
    assert_eq!(mutants_exit_code(&mutants), ExitCode::Failed);
    insta::assert_snapshot!(mutants_text(&mutants, Style::Plain), @r"
     mutant         scenario      6.12      caught by
     WRONG_PAIRING  http-latency  SURVIVED

    http-latency on 6.12: it has no `must_fail`, so its pass says nothing

    1 NOT CAUGHT
    ");
}

#[test]
fn a_run_that_could_not_be_made_is_no_survivor() {
    let lost = Judgement::infra("QEMU was lost: killed by signal 9");
    let mutants = [mutant(
        "WRONG_PAIRING",
        vec![cell("wrong-pairing", "6.12", &lost)],
    )];
    assert_eq!(mutants_exit_code(&mutants), ExitCode::CouldNotRun);
    insta::assert_snapshot!(mutants_text(&mutants, Style::Plain), @r"
     mutant         scenario       6.12   caught by
     WRONG_PAIRING  wrong-pairing  INFRA

    wrong-pairing on 6.12: INFRA
      QEMU was lost: killed by signal 9

    1 NOT CAUGHT
    ");
}

#[test]
fn no_mutant_at_all_is_no_pass() {
    assert_eq!(mutants_exit_code(&[]), ExitCode::CouldNotRun);
    insta::assert_snapshot!(mutants_text(&[], Style::Plain), @r"
     mutant  scenario  caught by

    no mutant was found, which is not a pass
    ");
}
