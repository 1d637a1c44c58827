//! What people read on a terminal: the matrix of all runs, the table of one scenario's runs, and below
//! either what went wrong, with evidence, last console lines and the command that repeats it.

use comfy_table::{Table, presets};
use scenario::{ExpectationResult, Verdict};

use crate::{Cell, paint::paint};

/// Console lines that a report shows of a run.
const CONSOLE_LINES: usize = 12;
/// Characters of a digest that tell two runs apart.
const DIGEST_CHARACTERS: usize = 12;

/// How text is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences: for files, pipes and logs.
    Plain,
    /// With ANSI colours.
    Coloured,
}

/// What people read of these runs: one scenario with its figures, several as a matrix.
pub fn for_people(cells: &[Cell<'_>], style: Style) -> String {
    let one_scenario = cells.windows(2).all(|pair| pair[0].scenario == pair[1].scenario);
    match one_scenario {
        true => details(cells, style),
        false => matrix(cells, style),
    }
}

/// All runs: a row per scenario, a column per kernel, in the order in which they first appear; where runs had
/// different loaders, a row per loader. Below it, everything that is not a pass. A cell that was not run is a
/// dash.
pub fn matrix(cells: &[Cell<'_>], style: Style) -> String {
    let grid = Grid::of(cells);
    let mut table = table(std::iter::once("scenario").chain(grid.kernels.iter().copied()));
    for (title, row) in &grid.rows {
        let words = row.iter().map(|of_cell| {
            // Several seeds share a cell; one that fails must not hide behind one that passes.
            let words = in_order(of_cell.iter().map(|index| cells[*index].word()));
            if words.is_empty() {
                "-".to_owned()
            } else {
                words.join("/")
            }
        });
        table.add_row(std::iter::once(title.clone()).chain(words));
    }
    finish(table.trim_fmt(), cells, style)
}

/// Cells as a table: a row per scenario (and loader, where they differ), a column per kernel.
pub(crate) struct Grid<'a> {
    /// What the columns are called.
    pub(crate) kernels: Vec<&'a str>,
    /// Each row's title, and for each column the cells there, by their place in the list.
    pub(crate) rows: Vec<(String, Vec<Vec<usize>>)>,
}

impl<'a> Grid<'a> {
    /// In the order in which scenarios and kernels first appear.
    pub(crate) fn of(cells: &[Cell<'a>]) -> Self {
        let titles: Vec<String> = cells.iter().map(|cell| title(cell, cells)).collect();
        let kernels = in_order(cells.iter().map(|cell| cell.kernel));
        let is_at = |index: &usize, title: &str, kernel: &str| {
            titles[*index] == title && cells[*index].kernel == kernel
        };
        let row = |title: &str| {
            let places = |kernel: &&str| {
                (0..cells.len())
                    .filter(|index| is_at(index, title, kernel))
                    .collect()
            };
            (title.to_owned(), kernels.iter().map(places).collect())
        };
        let rows = in_order(titles.iter().map(String::as_str))
            .into_iter()
            .map(row)
            .collect();
        Self { kernels, rows }
    }
}

/// The runs of one scenario: a row per kernel (and loader, where they differ) with its verdict and figures. Below it, everything that is not
/// a pass, and the evidence of one pass.
pub fn details(cells: &[Cell<'_>], style: Style) -> String {
    let header = [
        "kernel", "verdict", "compared", "digest", "guest s", "wall s", "cache",
    ];
    let mut table = table(header.into_iter());
    for cell in cells {
        let fact = |of: fn(&wire::Record) -> String| cell.record.map_or("-".to_owned(), of);
        table.add_row([
            match cell.loader.filter(|_| loaders_differ(cells)) {
                Some(loader) => format!("{} ({loader})", cell.kernel),
                None => cell.kernel.to_owned(),
            },
            cell.word().to_owned(),
            cell.judgement.compared().to_string(),
            fact(|record| record.digest.chars().take(DIGEST_CHARACTERS).collect()),
            fact(|record| format!("{:.3}", record.guest_end_ns as f64 / 1e9)),
            fact(|record| format!("{:.2}", record.timing.total_seconds)),
            fact(|record| if record.timing.warm { "warm" } else { "cold" }.to_owned()),
        ]);
    }
    let mut text = table.trim_fmt();
    if let Some(passed) = cells
        .iter()
        .find(|cell| cell.judgement.verdict == Verdict::Passed)
    {
        text.push_str(&format!("\n\nevidence on {}:", passed.kernel));
        text.push_str(&evidence(&passed.judgement.results));
        // With results, the note only repeats which of them had to fail.
        if let Some(note) = passed
            .judgement
            .note
            .as_ref()
            .filter(|_| passed.judgement.results.is_empty())
        {
            text.push_str(&format!("\n  {note}"));
        }
    }
    finish(text, cells, style)
}

/// What a run is called: its scenario, and its loader where runs had different ones.
pub(crate) fn title(cell: &Cell<'_>, cells: &[Cell<'_>]) -> String {
    match cell.loader.filter(|_| loaders_differ(cells)) {
        Some(loader) => format!("{} ({loader})", cell.scenario),
        None => cell.scenario.to_owned(),
    }
}

fn loaders_differ(cells: &[Cell<'_>]) -> bool {
    let mut loaders = cells.iter().filter_map(|cell| cell.loader);
    loaders
        .next()
        .is_some_and(|first| loaders.any(|loader| loader != first))
}

pub(crate) fn table<'a>(header: impl Iterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.collect::<Vec<_>>());
    table
}

pub(crate) fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

/// Adds what a table cannot hold: failures, drift, and the sum of it all.
fn finish(mut text: String, cells: &[Cell<'_>], style: Style) -> String {
    for cell in cells
        .iter()
        .filter(|cell| cell.judgement.verdict != Verdict::Passed)
    {
        text.push_str("\n\n");
        text.push_str(&complaint(cell, cells));
    }
    let needless: Vec<String> = cells.iter().filter_map(Cell::needless_allowance).collect();
    for words in needless {
        text.push_str(&format!("\n\n{words}"));
    }
    let drifts = cells.iter().filter_map(Cell::drift).collect::<Vec<_>>();
    if !drifts.is_empty() {
        text.push_str("\n\nkernel drift:");
    }
    for drift in in_order(drifts.iter().map(String::as_str)) {
        text.push_str(&format!("\n  {drift}"));
    }
    text.push_str(&format!("\n\n{}\n", summary(cells)));
    dressed(text, style)
}

pub(crate) fn dressed(text: String, style: Style) -> String {
    match style {
        Style::Plain => text,
        Style::Coloured => paint(&text),
    }
}

/// How many of which verdict, in a fixed order.
pub(crate) fn summary(cells: &[Cell<'_>]) -> String {
    if cells.is_empty() {
        return "nothing was run, which is not a pass".to_owned();
    }
    counts(cells)
        .iter()
        .map(|(word, count)| format!("{count} {word}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Each word that a cell has, and how many have it, the pass first.
pub(crate) fn counts(cells: &[Cell<'_>]) -> Vec<(&'static str, usize)> {
    let count = |word: &str| cells.iter().filter(|cell| cell.word() == word).count();
    ["passed", "FAILED", "INFRA", "allowed", "unsupported", "skipped"]
        .into_iter()
        .map(|word| (word, count(word)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// Everything to know about a run that is not a pass.
pub(crate) fn complaint(cell: &Cell<'_>, cells: &[Cell<'_>]) -> String {
    let mut text = format!("{} on {}: {}", title(cell, cells), cell.kernel, cell.word());
    text.push_str(&format!("\n  {}", indented(&cell.reason().unwrap_or_default())));
    text.push_str(&evidence(&cell.judgement.results));
    let is_broken = matches!(
        cell.judgement.verdict,
        Verdict::Failed { .. } | Verdict::Infra { .. }
    );
    if is_broken {
        let last = cell.console_tail(CONSOLE_LINES);
        if !last.is_empty() {
            text.push_str("\n  last console lines:");
        }
        for line in last {
            text.push_str(&format!("\n  | {line}"));
        }
    }
    if let Some(allowed) = &cell.judgement.allowed {
        text.push_str(&format!("\n  allowed: {}", indented(allowed)));
    }
    if let Some(replay) = cell.replay {
        text.push_str(&format!("\n  again: {replay}"));
    }
    text
}

pub(crate) fn evidence(results: &[ExpectationResult]) -> String {
    let mut text = String::new();
    for result in results {
        let word = outcome(result);
        text.push_str(&format!(
            "\n  {word}: {}: {}",
            result.name,
            indented(&result.evidence)
        ));
    }
    text
}

/// What came of an expectation, in words.
pub(crate) fn outcome(result: &ExpectationResult) -> &'static str {
    match (result.held, result.must_fail) {
        (true, false) => "held",
        (false, false) => "FAILED",
        (false, true) => "failed as it must",
        (true, true) => "held, but must FAIL",
    }
}

/// Reasons may hold the last words of a program, which have lines of their own.
fn indented(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(printable)
        .collect::<Vec<_>>()
        .join("\n    ")
}

/// A guest must not be able to send escape sequences to the reader's terminal.
pub(crate) fn printable(line: &str) -> String {
    line.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}
