//! One HTML page that needs nothing else: no network, no second file. A cell of its table leads to everything that
//! is known of the run. The template escapes what it is given; the page's own rules let it load nothing.

use askama::Template;
use scenario::{Verdict, read_openmetrics};

use crate::{
    Cell,
    histogram::{self, histograms},
    terminal::{Grid, counts, in_order, outcome, printable, summary, title},
};

/// Console lines of a run that is no pass, and of one that is.
const CONSOLE_LINES: usize = 40;
const CONSOLE_LINES_OF_A_PASS: usize = 4;
/// Histograms of one run; a probe that makes more is told to be one of many.
const HISTOGRAMS: usize = 4;
/// What every probe tells about itself, the families in which losses and hits are seen.
const OF_THE_PROBE: [&str; 4] = [
    "probelab_hits_total",
    "probelab_lost_total",
    "probelab_hits_unaccounted",
    "probelab_program_runs_total",
];

#[derive(Template)]
#[template(path = "page.html", whitespace = "minimize")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    summary: String,
    /// Word, class and how many.
    counts: Vec<(&'static str, String, usize)>,
    kernels: Vec<&'a str>,
    rows: Vec<Row<'a>>,
    drifts: Vec<String>,
    needless: Vec<String>,
    cells: Vec<Details>,
}

struct Row<'a> {
    title: String,
    probes: String,
    places: Vec<Place<'a>>,
}

struct Place<'a> {
    kernel: &'a str,
    links: Vec<Link>,
}

struct Link {
    id: usize,
    word: &'static str,
    class: String,
}

struct Details {
    id: usize,
    title: String,
    kernel: String,
    word: &'static str,
    class: String,
    reason: String,
    notes: Vec<String>,
    verifier: String,
    results: Vec<Outcome>,
    histograms: Vec<Picture>,
    hits: String,
    replay: String,
    console: String,
    facts: Vec<(&'static str, String)>,
}

struct Outcome {
    name: String,
    outcome: &'static str,
    class: &'static str,
    compared: u64,
    evidence: String,
}

struct Picture {
    title: String,
    count: f64,
    svg: String,
}

/// The report of all runs as one page.
pub fn to_html(cells: &[Cell<'_>]) -> Result<String, askama::Error> {
    let grid = Grid::of(cells);
    let drifts: Vec<String> = cells.iter().filter_map(Cell::drift).collect();
    Page {
        style: include_str!("../templates/page.css"),
        script: include_str!("../templates/page.js"),
        summary: summary(cells),
        counts: counts(cells)
            .into_iter()
            .map(|(word, count)| (word, class(word), count))
            .collect(),
        rows: grid.rows.iter().map(|row| self::row(row, &grid, cells)).collect(),
        kernels: grid.kernels,
        drifts: in_order(drifts.iter().map(String::as_str))
            .into_iter()
            .map(str::to_owned)
            .collect(),
        needless: cells.iter().filter_map(Cell::needless_allowance).collect(),
        cells: cells
            .iter()
            .enumerate()
            .map(|(id, cell)| details(id, cell, cells))
            .collect(),
    }
    .render()
}

fn row<'a>((title, places): &(String, Vec<Vec<usize>>), grid: &Grid<'a>, cells: &[Cell<'a>]) -> Row<'a> {
    let link = |id: &usize| Link {
        id: *id,
        word: cells[*id].word(),
        class: class(cells[*id].word()),
    };
    let of_row = places.iter().flatten().next().map(|id| cells[*id].probes);
    Row {
        title: title.clone(),
        probes: of_row.unwrap_or_default().join(" "),
        places: grid
            .kernels
            .iter()
            .zip(places)
            .map(|(kernel, ids)| Place {
                kernel,
                links: ids.iter().map(link).collect(),
            })
            .collect(),
    }
}

fn details(id: usize, cell: &Cell<'_>, cells: &[Cell<'_>]) -> Details {
    let metrics = cell
        .record
        .and_then(|record| record.outputs.get("metrics"))
        .map(|output| output.text().into_owned())
        .unwrap_or_default();
    let (reason, verifier) = without_verifier(&cell.reason().unwrap_or_default());
    let lines = match cell.judgement.verdict {
        Verdict::Passed => CONSOLE_LINES_OF_A_PASS,
        _ => CONSOLE_LINES,
    };
    let allowed = cell
        .judgement
        .allowed
        .iter()
        .map(|why| format!("may fail: {why}"));
    Details {
        id,
        title: title(cell, cells),
        kernel: cell.kernel.to_owned(),
        word: cell.word(),
        class: class(cell.word()),
        reason,
        notes: cell.judgement.note.clone().into_iter().chain(allowed).collect(),
        verifier,
        results: cell.judgement.results.iter().map(of_result).collect(),
        histograms: pictures(&metrics),
        hits: hits(&metrics),
        replay: cell.replay.unwrap_or_default().to_owned(),
        console: cell.console_tail(lines).join("\n"),
        facts: facts(cell),
    }
}

fn of_result(result: &scenario::ExpectationResult) -> Outcome {
    Outcome {
        name: result.name.clone(),
        outcome: outcome(result),
        class: if result.held == result.must_fail {
            "failed"
        } else {
            "passed"
        },
        compared: result.compared,
        evidence: result.evidence.clone(),
    }
}

fn pictures(metrics: &str) -> Vec<Picture> {
    let all = histograms(metrics);
    let more = all.len().saturating_sub(HISTOGRAMS);
    let mut pictures: Vec<Picture> = all
        .iter()
        .take(HISTOGRAMS)
        .map(|histogram| Picture {
            title: histogram.title.clone(),
            count: histogram.count,
            svg: histogram.svg(),
        })
        .collect();
    if let Some(last) = pictures.last_mut().filter(|_| more > 0) {
        last.title = format!("{} (and {more} more histograms in the record)", last.title);
    }
    pictures
}

/// The lines of the scrape in which a probe speaks about itself, those that are zero left out.
fn hits(metrics: &str) -> String {
    let series = read_openmetrics(metrics).unwrap_or_default();
    series
        .iter()
        .filter(|series| OF_THE_PROBE.contains(&series.name.as_str()) && series.value != 0.0)
        .map(|series| {
            format!(
                "{} {}",
                histogram::title(&series.name, &series.labels),
                series.value
            )
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The reason without the verifier's words, and these, a line each. The daemon puts them at the end of what it says of
/// a load, parted by ` | `.
fn without_verifier(reason: &str) -> (String, String) {
    let clean = |text: &str| {
        text.trim_end()
            .lines()
            .map(printable)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let of_load = reason.starts_with("step `probe` failed").then_some(reason);
    let split = of_load
        .and_then(|reason| reason.find(" | "))
        .and_then(|bar| reason[..bar].rfind(": "));
    match split {
        Some(at) => (
            clean(&reason[..at]),
            clean(&reason[at + 2..].replace(" | ", "\n")),
        ),
        None => (clean(reason), String::new()),
    }
}

fn facts(cell: &Cell<'_>) -> Vec<(&'static str, String)> {
    let Some(record) = cell.record else {
        return Vec::new();
    };
    let mut facts = vec![
        (
            "kernel",
            format!("{} {}", record.kernel.package, record.kernel.version),
        ),
        ("release", record.kernel_release.clone()),
        ("lane, seed", format!("{}, {}", record.lane, record.seed)),
        ("QEMU", record.qemu.clone()),
        ("end", record.end.to_string()),
        ("guest time", format!("{:.3} s", record.guest_end_ns as f64 / 1e9)),
        ("wall time", format!("{:.2} s", record.timing.total_seconds)),
        ("inputs", record.inputs_sha256.clone()),
        ("digest", record.digest.clone()),
    ];
    if let Some(loader) = record.loader {
        facts.insert(2, ("loader", loader.to_string()));
    }
    facts
}

fn class(word: &str) -> String {
    word.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_words_get_lines_of_their_own() {
        let reason = "step `probe` failed: cannot load x: the verifier refused it (Permission denied (os error 13)): \
                      … 9 lines … | R1 type=ctx | invalid access";
        let (rest, log) = without_verifier(reason);
        assert_eq!(log, "… 9 lines …\nR1 type=ctx\ninvalid access");
        assert!(rest.ends_with("(os error 13))"), "{rest}");
        let plain = "2 expectations did not hold: a | b";
        assert_eq!(without_verifier(plain), (plain.to_owned(), String::new()));
    }
}
