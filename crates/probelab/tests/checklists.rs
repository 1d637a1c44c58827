//! The checklists in the READMEs of the probes: each line names a test that exists, or says why there is none.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use common::{quoted, root};

/// What a line says that has no test.
const REASONS: [&str; 5] = ["blind spot", "cannot", "no test", "not covered", "not used"];

/// Every file below a folder, but what builds leave.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            files.push(path);
        } else if !path.ends_with("target") {
            files.extend(files_below(&path));
        }
    }
    files
}

/// The word that follows each `before` at the start of a line, up to `after`.
fn words<'a>(text: &'a str, before: &'a str, after: char) -> impl Iterator<Item = String> + 'a {
    text.lines()
        .filter_map(move |line| line.trim_start().strip_prefix(before)?.split_once(after))
        .map(|(word, _)| word.to_owned())
}

/// What a checklist may refer to.
struct Known {
    /// Names of functions: the crate's own, with its tests, and those of the programs that scenarios run.
    functions: BTreeSet<String>,
    scenarios: BTreeSet<String>,
    expectations: BTreeSet<String>,
    /// What a path may begin at.
    folders: [PathBuf; 2],
}

impl Known {
    fn to(package: &Path) -> Self {
        let mut known = Self {
            functions: BTreeSet::new(),
            scenarios: BTreeSet::new(),
            expectations: BTreeSet::new(),
            folders: [root(), package.to_owned()],
        };
        for path in files_below(package) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                known
                    .functions
                    .extend(words(&fs::read_to_string(path).unwrap(), "fn ", '('));
            }
        }
        for path in files_below(&root().join("scenarios")) {
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            if path.ends_with("scenario.toml") {
                let name = path.parent().unwrap().file_name().unwrap();
                known.scenarios.insert(name.to_string_lossy().into_owned());
                for table in text.split("[[expect]]").skip(1) {
                    known.expectations.extend(words(table, "name = \"", '"').next());
                }
            } else {
                known.functions.extend(words(&text, "def ", '('));
            }
        }
        known
    }

    fn has(&self, word: &str) -> bool {
        let starts = |name: &String| {
            word.strip_suffix('…')
                .is_some_and(|start| name.starts_with(start))
        };
        self.functions.contains(word)
            || self.functions.iter().any(starts)
            || self.scenarios.contains(word)
            || self.expectations.contains(word)
            || self.folders.iter().any(|folder| folder.join(word).exists())
    }
}

/// Whether a word can only be meant as the name of a test, a scenario or an expectation.
fn is_a_reference(word: &str) -> bool {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-…".contains(c);
    word.contains(['…', ' '])
        || (word.chars().all(is_name) && (word.matches('_').count() >= 2 || word.contains('-')))
}

/// The checklist of a README: its legend, and its lines as first and second cell.
fn checklist(readme: &str) -> (&str, Vec<(&str, &str)>) {
    let (_, section) = readme.split_once("## Checklist").unwrap();
    let (legend, table) = section.split_once("|---|---|").unwrap();
    let lines = table
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|')?.split_once('|'))
        .collect();
    (legend, lines)
}

/// The letters that a legend explains: `K = …`.
fn letters(legend: &str) -> BTreeSet<&str> {
    let words: Vec<&str> = legend.split_whitespace().collect();
    words
        .windows(2)
        .filter(|pair| pair[1] == "=")
        .map(|pair| pair[0])
        .collect()
}

/// Whether a cell refers to a letter of the legend. Before a small letter it is a word of a sentence.
fn names_a_letter(cell: &str, letters: &BTreeSet<&str>) -> bool {
    let words: Vec<&str> = cell.split_whitespace().collect();
    words.iter().enumerate().any(|(place, word)| {
        let letter = word.trim_matches(|c: char| !c.is_alphanumeric());
        let ends = *word != letter;
        let follows = words.get(place + 1).and_then(|next| next.chars().next());
        letters.contains(letter) && (ends || !follows.is_some_and(char::is_lowercase))
    })
}

/// What is wrong with a checklist.
fn faults(readme: &str, known: &Known) -> Vec<String> {
    let (legend, lines) = checklist(readme);
    let letters = letters(legend);
    let mut faults = Vec::new();
    for word in quoted(legend) {
        if !known.has(word) {
            faults.push(format!("the legend names `{word}`, which does not exist"));
        }
    }
    for (line, covered_by) in lines {
        for word in quoted(covered_by) {
            if is_a_reference(word) && !known.has(word) {
                faults.push(format!("{line}: `{word}` does not exist"));
            }
        }
        if !names_a_letter(covered_by, &letters)
            && !quoted(covered_by).any(|word| known.has(word))
            && !REASONS.iter().any(|reason| covered_by.contains(reason))
        {
            faults.push(format!("{line}: neither a test nor a reason"));
        }
    }
    faults
}

#[test]
fn every_line_names_a_test_that_exists_or_says_why_there_is_none() {
    let mut lines = 0;
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let package = entry.unwrap().path();
        let name = package.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("probe-") {
            let readme = fs::read_to_string(package.join("README.md")).unwrap();
            let faults = faults(&readme, &Known::to(&package));
            assert!(faults.is_empty(), "README of {name}:\n{}", faults.join("\n"));
            lines += checklist(&readme).1.len();
        }
    }
    assert!(lines > 60, "six probes, a dozen lines each: {lines}");
}

#[test]
fn a_name_that_does_not_exist_and_a_line_without_a_test_are_seen() {
    let readme = "## Checklist\n\nTests: K = `tests/kernel.rs`, X = `scenarios/xdp-blocklist`.\n\n\
                  | line | covered by |\n|---|---|\n\
                  | 1 | K `full_maps_are_losses_that_are_told`, X |\n\
                  | 2 | K `full_maps_are_losses_that_nobody_told` |\n\
                  | 3 | scenario `xdp-blockade` |\n\
                  | 4 | `nothing lost`, `nothing lost at all` |\n\
                  | 5 | it works. K is fine |\n\
                  | 6 | not used |\n";
    let known = Known::to(&root().join("crates/probe-activity"));
    assert_eq!(
        faults(readme, &known),
        [
            " 2 : `full_maps_are_losses_that_nobody_told` does not exist",
            " 3 : `xdp-blockade` does not exist",
            " 3 : neither a test nor a reason",
            " 4 : `nothing lost at all` does not exist",
            " 5 : neither a test nor a reason",
        ]
    );
}
