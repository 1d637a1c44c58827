//! Markdown, for the summary page of a CI run.

use scenario::Verdict;

use crate::{
    Cell,
    terminal::{Grid, complaint, in_order, summary, title},
};

/// The report of all runs: the table, then everything that is not a pass, folded.
pub fn to_markdown(cells: &[Cell<'_>]) -> String {
    let grid = Grid::of(cells);
    let mut text = format!("## Probelab: {}\n\n", summary(cells));
    if !cells.is_empty() {
        let head: Vec<String> = grid.kernels.iter().map(|kernel| escaped(kernel)).collect();
        text.push_str(&row("scenario", &head));
        text.push_str(&row("---", &vec!["---".to_owned(); head.len()]));
    }
    for (title, places) in &grid.rows {
        let word = |of_cell: &Vec<usize>| {
            let words = in_order(of_cell.iter().map(|index| cells[*index].word()));
            match words.as_slice() {
                [] => "-".to_owned(),
                words => words
                    .iter()
                    .map(|word| emphasised(word))
                    .collect::<Vec<_>>()
                    .join("/"),
            }
        };
        text.push_str(&row(
            &escaped(title),
            &places.iter().map(word).collect::<Vec<_>>(),
        ));
    }
    for cell in cells
        .iter()
        .filter(|cell| cell.judgement.verdict != Verdict::Passed)
    {
        text.push_str(&folded(cell, cells));
    }
    let needless: Vec<String> = cells.iter().filter_map(Cell::needless_allowance).collect();
    for words in needless {
        text.push_str(&format!("\n{}\n", escaped(&words)));
    }
    let drifts: Vec<String> = cells.iter().filter_map(Cell::drift).collect();
    for drift in in_order(drifts.iter().map(String::as_str)) {
        text.push_str(&format!("\nkernel drift: {}\n", escaped(drift)));
    }
    text
}

fn row(title: &str, words: &[String]) -> String {
    format!("| {title} | {} |\n", words.join(" | "))
}

/// Words in capitals need attention.
fn emphasised(word: &str) -> String {
    if word.chars().all(char::is_uppercase) {
        format!("**{word}**")
    } else {
        word.to_owned()
    }
}

fn folded(cell: &Cell<'_>, cells: &[Cell<'_>]) -> String {
    let complaint = complaint(cell, cells);
    let body: String = complaint
        .lines()
        .skip(1)
        .map(|line| format!("    {}\n", line.strip_prefix("  ").unwrap_or(line)))
        .collect();
    format!(
        "\n<details><summary>{} on {}: {}</summary>\n\n{body}\n</details>\n",
        escaped(&title(cell, cells)),
        escaped(cell.kernel),
        cell.word()
    )
}

/// What Markdown or HTML would take for its own is shown as it is.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let is_special = matches!(
                character,
                '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '&'
            );
            is_special.then_some('\\').into_iter().chain([character])
        })
        .collect()
}
