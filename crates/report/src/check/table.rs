//! Findings for a terminal.

use super::{
    Checked, Comparison, Need, Row, Verdict,
    csv::{step, value},
    rows,
};
use crate::{
    Style,
    terminal::{dressed, in_order, printable, table},
};

/// A row per kernel, loader and program, and below it how many of which verdict.
pub fn check_table(checked: &[Checked<'_>], need: Need, style: Style) -> String {
    let loaders = in_order(checked.iter().map(|checked| checked.finding.loader.name()));
    let with_loader = loaders.len() > 1;
    let mut header = vec!["object", "program", "kernel"];
    if with_loader {
        header.push("loader");
    }
    header.extend([
        "verdict", "attached", "fired", "insns", "states", "stack", "jited", "runs", "net/run", "maps",
        "reason",
    ]);
    let mut rows = rows(checked);
    let order = in_order(rows.iter().map(|row| row.checked.finding.file_name.as_str()));
    let place = |row: &Row<'_>| {
        let object = order
            .iter()
            .position(|name| *name == row.checked.finding.file_name);
        let program = row
            .checked
            .finding
            .programs
            .iter()
            .position(|program| program.program == row.program_name());
        (object, program)
    };
    // Kernels below one another show at once where a program begins to fail.
    rows.sort_by_key(place);
    let mut table = table(header.into_iter());
    for row in &rows {
        let text = |column| value(row, column);
        let mut cells = vec![text("file_name"), text("prog_name"), text("kernel")];
        if with_loader {
            cells.push(text("loader"));
        }
        cells.extend([
            word(row, need).to_owned(),
            row.program.map_or("", |program| step(&program.attach)).to_owned(),
            row.program.map_or("", |program| step(&program.fire)).to_owned(),
            text("total_insns"),
            text("total_states"),
            text("stack_depth"),
            text("prog_size_jited"),
            text("runs"),
            row.program
                .and_then(wire::ProgramFinding::net_run_cost)
                .map_or(String::new(), |cost| format!("{cost:.0}")),
            memory(row.map_memory_bytes()),
            text("reason"),
        ]);
        table.add_row(cells.iter().map(|cell| printable(cell)));
    }
    let mut shown = table.trim_fmt();
    shown.push_str(&format!("\n\n{}\n", summary(&rows, need)));
    dressed(shown, style)
}

/// For everything that did not come as far as it had to, once per kind of trouble: where, what was said, and the verifier's last
/// lines.
pub fn check_details(checked: &[Checked<'_>], need: Need, style: Style) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows(checked) {
        let Some(trouble) = row.trouble().filter(|_| row.verdict(need) != Verdict::Passed) else {
            continue;
        };
        let mut text = format!("  {}: {}", trouble.reason, printable(&trouble.words));
        for line in row.program.map_or(&[][..], |program| &program.log) {
            text.push_str(&format!("\n  | {}", printable(line)));
        }
        let object = &row.checked.finding.file_name;
        let subject = match row.program_name() {
            "" => object.clone(),
            program => format!("{object} {program}"),
        };
        let key = format!("{subject}\u{0}{text}");
        let place = format!("{} ({})", row.checked.kernel, row.checked.finding.loader);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, places)) => places.push(place),
            None => groups.push((key, vec![place])),
        }
    }
    let texts: Vec<String> = groups
        .into_iter()
        .map(|(key, places)| {
            let (subject, text) = key.split_once('\u{0}').unwrap_or((&key, ""));
            format!("{subject} on {}\n{text}\n", places.join(", "))
        })
        .collect();
    dressed(texts.join("\n"), style)
}

/// What differs from the older check, and which gates that breaks.
pub fn comparison_text(comparison: &Comparison, style: Style) -> String {
    let mut text = String::new();
    if !comparison.changes.is_empty() {
        let mut table = table(["subject", "column", "old", "new", "gate"].into_iter());
        for change in &comparison.changes {
            let gate = match &change.broken_gate {
                Some(gate) => format!("FAILED {gate}"),
                None => String::from("-"),
            };
            let or_none = |text: &str| {
                if text.is_empty() {
                    "(none)".to_owned()
                } else {
                    printable(text)
                }
            };
            table.add_row([
                printable(&change.subject),
                change.column.clone(),
                or_none(&change.old),
                or_none(&change.new),
                gate,
            ]);
        }
        text.push_str(&table.trim_fmt());
        text.push_str("\n\n");
    }
    for (what, list) in [("new", &comparison.added), ("gone", &comparison.gone)] {
        for subject in list {
            text.push_str(&format!("{what}: {}\n", printable(subject)));
        }
    }
    let broken = comparison
        .changes
        .iter()
        .filter(|change| change.broken_gate.is_some())
        .count();
    text.push_str(&format!(
        "compared {} programs: {} changes, {broken} gates broken\n",
        comparison.compared,
        comparison.changes.len()
    ));
    if comparison.compared == 0 {
        text.push_str("nothing was compared, which is not a pass\n");
    }
    dressed(text, style)
}

fn word(row: &Row<'_>, need: Need) -> &'static str {
    match row.verdict(need) {
        Verdict::Passed => "passed",
        Verdict::Failed => "FAILED",
        Verdict::Unsupported => "unsupported",
    }
}

fn memory(bytes: u64) -> String {
    match bytes {
        0 => String::from("-"),
        _ => format!("{}k", bytes.div_ceil(1024)),
    }
}

fn summary(rows: &[Row<'_>], need: Need) -> String {
    if rows.is_empty() {
        return String::from("nothing was checked, which is not a pass");
    }
    let counts = ["passed", "FAILED", "unsupported"].map(|wanted| {
        let count = rows.iter().filter(|row| word(row, need) == wanted).count();
        (count > 0).then(|| format!("{count} {wanted}"))
    });
    counts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
