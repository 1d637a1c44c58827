//! A check as a cell of a matrix, for the reports that a matrix has: an object is what a scenario is there, and each of its
//! programs is expected to come as far as it has to.

use scenario::{ExpectationResult, Judgement, Verdict as Judged};
use wire::{ProgramFinding, Reason, Trouble};

use super::{Checked, Need, Row, Verdict, rows};
use crate::terminal::printable;

/// What a check of an object on a kernel comes to. What could not be tried is no expectation: no pass where there is nothing
/// else, and otherwise a note.
pub fn judge_check(checked: Checked<'_>, need: Need) -> Judgement {
    let rows = rows(&[checked]);
    let (untried, tried): (Vec<&Row<'_>>, Vec<&Row<'_>>) = rows
        .iter()
        .partition(|row| row.verdict(need) == Verdict::Unsupported);
    let failed = tried.iter().find(|row| row.verdict(need) == Verdict::Failed);
    let is_ours = |row: &&&Row<'_>| {
        row.trouble()
            .is_some_and(|trouble| trouble.reason == Reason::Infra)
    };
    let verdict = match (failed, tried.first(), untried.first()) {
        (Some(row), _, _) if is_ours(&row) => Judged::Infra {
            reason: named(row, &complaint(row)),
        },
        (Some(row), _, _) => Judged::Failed {
            reason: named(row, &complaint(row)),
        },
        (None, None, Some(row)) => match row.trouble() {
            Some(Trouble { reason, words }) => Judged::Unsupported {
                code: reason.to_string(),
                reason: named(row, &printable(words)),
            },
            None => Judged::Unsupported {
                code: "not_tried".into(),
                reason: named(row, "nothing says why"),
            },
        },
        (None, _, _) => Judged::Passed,
    };
    let not_tried = |row: &&Row<'_>| format!("not tried: {}", named(row, &complaint(row)));
    let notes: Vec<String> = untried.iter().map(not_tried).collect();
    Judgement {
        note: (!tried.is_empty() && !notes.is_empty()).then(|| notes.join("; ")),
        verdict,
        results: tried.into_iter().map(|row| result(row, need)).collect(),
        kernel_broke: rows
            .iter()
            .filter_map(Row::trouble)
            .any(|trouble| trouble.reason == Reason::KernelBroke),
        allowed: None,
    }
}

fn result(row: &Row<'_>, need: Need) -> ExpectationResult {
    let name = match row.program_name() {
        "" => printable(&row.checked.finding.file_name),
        program => printable(program),
    };
    let held = row.verdict(need) == Verdict::Passed;
    ExpectationResult {
        name,
        held,
        must_fail: false,
        compared: 1,
        evidence: match held {
            true => row.program.map_or("it starts".into(), measured),
            false => complaint(row),
        },
    }
}

/// What did not work, with the verifier's last lines.
fn complaint(row: &Row<'_>) -> String {
    let words = |Trouble { reason, words }: &Trouble| format!("{reason}: {}", printable(words));
    let log = row.program.map_or(&[][..], |program| &program.log);
    let first = row.trouble().map_or("it was not come to".into(), words);
    std::iter::once(first)
        .chain(log.iter().map(|line| format!("| {}", printable(line))))
        .collect::<Vec<_>>()
        .join("\n")
}

fn named(row: &Row<'_>, words: &str) -> String {
    match row.program_name() {
        "" => words.to_owned(),
        program => format!("{}: {words}", printable(program)),
    }
}

/// What is known of a program that came as far as it had to.
fn measured(program: &ProgramFinding) -> String {
    let counts = [
        ("instructions verified", program.verifier.total_insns),
        ("states", program.verifier.total_states),
        ("bytes of stack", program.verifier.stack_depth),
        ("bytes of machine code", program.jited_bytes),
        ("runs", Some(program.runs)),
    ];
    let mut parts: Vec<String> = counts
        .into_iter()
        .filter_map(|(what, count)| Some(format!("{} {what}", count?)))
        .collect();
    parts.extend(
        program
            .net_run_cost()
            .map(|cost| format!("{cost:.1} per run, net")),
    );
    parts.join(", ")
}
