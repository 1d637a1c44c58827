//! Mutants: which known mistake was caught, by which scenario and by which of its expectations.

use scenario::{ExitCode, Verdict, exit_code};
use serde::Serialize;
use wire::Loader;

use crate::{
    Cell,
    terminal::{Style, complaint, dressed, in_order, table, title},
};

/// A known mistake of a probe, and the runs that turned it on.
#[derive(Debug)]
pub struct Mutant<'a> {
    /// Its name in the source, without the prefix.
    pub name: &'a str,
    /// Its name in a probe manifest.
    pub control: String,
    /// The files of the source that hold it.
    pub files: Vec<String>,
    /// The runs. None: no scenario turns it on.
    pub cells: Vec<Cell<'a>>,
}

/// 1 when a mutant survived or has no scenario; else what the runs come to.
pub fn mutants_exit_code(mutants: &[Mutant<'_>]) -> ExitCode {
    let runs = || mutants.iter().flat_map(|mutant| &mutant.cells);
    let of_runs = exit_code(runs().map(|cell| cell.judgement));
    // Without `must_fail` a run passes where the mutant does nothing.
    let survived = runs().any(|cell| is_silent_pass(cell));
    let is_alone = mutants.iter().any(|mutant| mutant.cells.is_empty());
    match of_runs {
        ExitCode::Passed | ExitCode::CouldNotRun if is_alone || survived => ExitCode::Failed,
        other => other,
    }
}

/// All mutants as a table: a row per mutant and scenario, a column per kernel. Below it, every mutant that was
/// not caught.
pub fn mutants_text(mutants: &[Mutant<'_>], style: Style) -> String {
    let all: Vec<Cell<'_>> = mutants.iter().flat_map(|mutant| &mutant.cells).copied().collect();
    let kernels = in_order(all.iter().map(|cell| cell.kernel));
    let header = ["mutant", "scenario"].into_iter();
    let mut table = table(header.chain(kernels.iter().copied()).chain(["caught by"]));
    for mutant in mutants {
        for row in rows(mutant, &all) {
            let word = |kernel: &&str| {
                let of_kernel = row.cells.iter().filter(|cell| cell.kernel == *kernel);
                let words = in_order(of_kernel.map(word));
                if words.is_empty() {
                    "-".to_owned()
                } else {
                    words.join("/")
                }
            };
            let start = [mutant.name.to_owned(), row.title.clone()].into_iter();
            let end = [caught_by(&row.cells).join(", ")];
            table.add_row(start.chain(kernels.iter().map(word)).chain(end));
        }
    }
    let mut text = table.trim_fmt();
    for mutant in mutants.iter().filter(|mutant| mutant.cells.is_empty()) {
        text.push_str(&format!(
            "\n\n{} ({}) is caught by nothing: no scenario has `control: {}`",
            mutant.name,
            mutant.files.join(", "),
            mutant.control
        ));
    }
    for cell in all.iter().filter(|cell| !is_caught(cell)) {
        text.push_str("\n\n");
        if is_silent_pass(cell) {
            let title = title(cell, &all);
            text.push_str(&format!(
                "{title} on {}: it has no `must_fail`, so its pass says nothing",
                cell.kernel
            ));
        } else {
            text.push_str(&complaint(cell, &all));
        }
    }
    text.push_str(&format!("\n\n{}\n", summary(mutants)));
    dressed(text, style)
}

/// All mutants as indented JSON with a newline at its end.
pub fn mutants_to_json(mutants: &[Mutant<'_>]) -> Result<String, serde_json::Error> {
    let entry = |mutant: &Mutant<'_>| Entry {
        mutant: mutant.name.to_owned(),
        control: mutant.control.clone(),
        files: mutant.files.clone(),
        caught: !mutant.cells.is_empty() && mutant.cells.iter().all(is_caught),
        runs: mutant.cells.iter().map(run).collect(),
    };
    let report = Report {
        schema_version: crate::JSON_SCHEMA_VERSION,
        mutants: mutants.iter().map(entry).collect(),
    };
    Ok(serde_json::to_string_pretty(&report)? + "\n")
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    mutants: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    mutant: String,
    control: String,
    files: Vec<String>,
    /// Whether there is a run, and every run caught it.
    caught: bool,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    scenario: String,
    kernel: String,
    loader: Option<Loader>,
    caught: bool,
    /// The expectations that failed as they must.
    caught_by: Vec<String>,
    verdict: Verdict,
}

fn run(cell: &Cell<'_>) -> Run {
    Run {
        scenario: cell.scenario.to_owned(),
        kernel: cell.kernel.to_owned(),
        loader: cell.loader,
        caught: is_caught(cell),
        caught_by: caught_by(std::slice::from_ref(cell))
            .into_iter()
            .map(str::to_owned)
            .collect(),
        verdict: cell.judgement.verdict.clone(),
    }
}

/// The runs of one scenario with one mutant.
struct Row<'a> {
    title: String,
    cells: Vec<Cell<'a>>,
}

/// A mutant without a run has a row too.
fn rows<'a>(mutant: &Mutant<'a>, all: &[Cell<'_>]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for cell in &mutant.cells {
        let title = title(cell, all);
        match rows.iter_mut().find(|row| row.title == title) {
            Some(row) => row.cells.push(*cell),
            None => rows.push(Row {
                title,
                cells: vec![*cell],
            }),
        }
    }
    if rows.is_empty() {
        rows.push(Row {
            title: "-".to_owned(),
            cells: Vec::new(),
        });
    }
    rows
}

fn is_caught(cell: &Cell<'_>) -> bool {
    cell.judgement.verdict == Verdict::Passed && !is_silent_pass(cell)
}

/// A pass in which nothing had to fail. A run that had to end badly, and did, has a note and no results.
fn is_silent_pass(cell: &Cell<'_>) -> bool {
    cell.judgement.verdict == Verdict::Passed
        && !ended_as_it_must(cell)
        && cell.judgement.results.iter().all(|result| !result.must_fail)
}

fn ended_as_it_must(cell: &Cell<'_>) -> bool {
    cell.judgement.results.is_empty() && cell.judgement.note.is_some()
}

fn word(cell: &Cell<'_>) -> &'static str {
    let held = cell
        .judgement
        .results
        .iter()
        .any(|result| result.must_fail && result.held);
    if is_caught(cell) {
        "caught"
    } else if held || is_silent_pass(cell) {
        "SURVIVED"
    } else {
        cell.word()
    }
}

/// The expectations that failed as they must, in any of the runs.
fn caught_by<'a>(cells: &[Cell<'a>]) -> Vec<&'a str> {
    let results = cells.iter().flat_map(|cell| &cell.judgement.results);
    let failed = results
        .filter(|result| result.must_fail && !result.held && result.compared > 0)
        .map(|result| result.name.as_str());
    let ended = cells.iter().filter(|cell| ended_as_it_must(cell));
    in_order(failed.chain(ended.map(|_| "how it ends")))
}

fn summary(mutants: &[Mutant<'_>]) -> String {
    if mutants.is_empty() {
        return "no mutant was found, which is not a pass".to_owned();
    }
    let alone = mutants.iter().filter(|mutant| mutant.cells.is_empty()).count();
    let caught = mutants
        .iter()
        .filter(|mutant| !mutant.cells.is_empty() && mutant.cells.iter().all(is_caught))
        .count();
    let rest = mutants.len() - alone - caught;
    [
        (caught, "caught"),
        (rest, "NOT CAUGHT"),
        (alone, "WITHOUT SCENARIO"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect::<Vec<_>>()
    .join(", ")
}
