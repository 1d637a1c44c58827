//! KTAP version 1, what the kernel's own tests print (`Documentation/dev-tools/ktap.rst`): kernels hold scenarios,
//! scenarios hold expectations.

use scenario::{ExpectationResult, Verdict};

use crate::{
    Cell,
    terminal::{in_order, outcome, printable, title},
};

/// Spaces of one level.
const INDENT: &str = "  ";

/// The report of all runs. What was not run is `SKIP`, a failure that is allowed is `XFAIL`, what the lab itself
/// could not do is `ERROR`.
pub fn to_ktap(cells: &[Cell<'_>]) -> String {
    let kernels = in_order(cells.iter().map(|cell| cell.kernel));
    let mut lines = vec!["KTAP version 1".to_owned(), format!("1..{}", kernels.len())];
    for (index, kernel) in kernels.iter().enumerate() {
        let of_kernel: Vec<&Cell<'_>> = cells.iter().filter(|cell| cell.kernel == *kernel).collect();
        let name = format!("linux {kernel}");
        lines.extend(indented(scenarios(&name, &of_kernel, cells)));
        let is_good = of_kernel.iter().all(|cell| is_ok(cell));
        lines.push(line(is_good, index, &name, None));
    }
    lines.join("\n") + "\n"
}

fn scenarios(name: &str, of_kernel: &[&Cell<'_>], cells: &[Cell<'_>]) -> Vec<String> {
    let mut lines = subtest(name, of_kernel.len());
    for (index, cell) in of_kernel.iter().enumerate() {
        let title = title(cell, cells);
        let results = &cell.judgement.results;
        if !results.is_empty() {
            lines.extend(indented(expectations(&title, results)));
        }
        let reason = cell.reason().unwrap_or_default();
        for words in reason.lines().filter(|words| !words.is_empty()) {
            lines.push(format!("# {}", printable(words)));
        }
        if let Some(replay) = cell.replay {
            lines.push(format!("# again: {}", printable(replay)));
        }
        lines.push(line(is_ok(cell), index, &title, directive(cell).as_deref()));
    }
    lines
}

fn expectations(title: &str, results: &[ExpectationResult]) -> Vec<String> {
    let mut lines = subtest(title, results.len());
    for (index, result) in results.iter().enumerate() {
        for words in result.evidence.lines() {
            lines.push(format!("# {}: {}", outcome(result), printable(words)));
        }
        let is_good = result.held != result.must_fail && result.compared > 0;
        lines.push(line(is_good, index, &result.name, None));
    }
    lines
}

fn subtest(name: &str, count: usize) -> Vec<String> {
    vec![
        "KTAP version 1".to_owned(),
        format!("# Subtest: {}", description(name)),
        format!("1..{count}"),
    ]
}

fn is_ok(cell: &Cell<'_>) -> bool {
    match cell.judgement.verdict {
        _ if cell.judgement.is_allowed_failure() => true,
        Verdict::Passed | Verdict::Skipped { .. } | Verdict::Unsupported { .. } => true,
        Verdict::Failed { .. } | Verdict::Infra { .. } => false,
    }
}

fn directive(cell: &Cell<'_>) -> Option<String> {
    let word = match cell.judgement.verdict {
        Verdict::Passed => return None,
        _ if cell.judgement.is_allowed_failure() => "XFAIL",
        Verdict::Failed { .. } => return None,
        Verdict::Skipped { .. } | Verdict::Unsupported { .. } => "SKIP",
        Verdict::Infra { .. } => "ERROR",
    };
    let reason = match &cell.judgement.allowed {
        Some(allowed) => allowed.clone(),
        None => cell.reason().unwrap_or_default(),
    };
    let first = reason.lines().next().unwrap_or_default();
    Some(format!("{word} {}", description(first)))
}

fn line(is_good: bool, index: usize, name: &str, directive: Option<&str>) -> String {
    let word = if is_good { "ok" } else { "not ok" };
    let end = directive.map_or(String::new(), |directive| format!(" # {directive}"));
    format!("{word} {} {}{end}", index + 1, description(name))
}

/// A `#` would begin a directive, and a line must stay one.
fn description(text: &str) -> String {
    printable(text).replace('#', "")
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("{INDENT}{line}"))
}
