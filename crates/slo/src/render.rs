//! A report as text. JSON and YAML are its serde form; here are the three that people read.

use std::fmt::Write;

use comfy_table::{Table, presets};

use crate::report::{Bound, Burn, Evaluation, Fires, Report, Status};
use crate::{Interval, duration};

/// What the cells of an objective are.
pub const HEADER: [&str; 8] = [
    "SERVICE",
    "OBJECTIVE",
    "TARGET",
    "WINDOW",
    "GOOD",
    "EVENTS",
    "BUDGET LEFT",
    "STATUS",
];

/// One short paragraph for each objective.
pub fn simple(report: &Report) -> String {
    let mut text = String::new();
    for objective in &report.objectives {
        // Writing to a String does not fail.
        let _ = paragraph(&mut text, objective);
    }
    text
}

fn paragraph(text: &mut String, objective: &Evaluation) -> std::fmt::Result {
    writeln!(text, "{}: {}", status(objective), objective.name)?;
    writeln!(
        text,
        "  service {}, {} % over {}",
        objective.service,
        objective.target_percent,
        duration::text((objective.window_seconds * 1e3) as i64)
    )?;
    writeln!(
        text,
        "  good {}: {} of {}, {} bad, {} unknown",
        interval(objective.good_percent, " %"),
        objective.events.good,
        objective.total,
        objective.events.bad,
        objective.events.unknown
    )?;
    if let Some(budget) = &objective.budget {
        writeln!(
            text,
            "  error budget left {}",
            interval(Some(budget.left_percent), " %")
        )?;
    }
    if let Some(words) = crossing(objective) {
        writeln!(text, "  {words}")?;
    }
    for burn in firing(objective) {
        writeln!(text, "  {}", burn_words(burn))?;
    }
    for note in &objective.notes {
        writeln!(text, "  note: {note}")?;
    }
    Ok(())
}

/// One row for each objective.
pub fn tabbed(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(HEADER);
    for objective in &report.objectives {
        table.add_row(cells(objective));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// A table for a page, and what has to be known beside it.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "| service | objective | target | window | good | events | budget left | status |\n|---|---|---|---|---|---|---|---|\n",
    );
    for objective in &report.objectives {
        let cells = cells(objective).map(|cell| cell.replace('|', r"\|"));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    for objective in &report.objectives {
        let crossing = crossing(objective).into_iter();
        let burning = firing(objective).map(burn_words);
        for line in crossing.chain(burning).chain(objective.notes.iter().cloned()) {
            text.push_str(&format!("\n- {}: {line}", objective.name));
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// What a table says of an objective, under [`HEADER`].
pub fn cells(objective: &Evaluation) -> [String; 8] {
    let events = &objective.events;
    let unknown = match events.unknown {
        0 => String::new(),
        unknown => format!(" + {unknown} unknown"),
    };
    [
        objective.service.clone(),
        objective.name.clone(),
        format!("{} %", objective.target_percent),
        duration::text((objective.window_seconds * 1e3) as i64),
        interval(objective.good_percent, " %"),
        format!("{}/{}{unknown}", events.good, objective.total),
        interval(objective.budget.map(|budget| budget.left_percent), " %"),
        status(objective).to_owned(),
    ]
}

/// The status in words that fit a table.
pub fn status(objective: &Evaluation) -> &'static str {
    match objective.status {
        Status::Met => "met",
        Status::Missed => "missed",
        Status::Undecided => "undecided",
        Status::NoTraffic => "no traffic",
        Status::Unobserved => "unobserved",
    }
}

/// Which bound crosses the target, in words; nothing when none does.
pub fn crossing(objective: &Evaluation) -> Option<String> {
    Some(match objective.crossed? {
        Bound::Lo => format!(
            "the lower bound alone is below the target: it depends on what the {} unknown events were",
            objective.events.unknown
        ),
        Bound::Hi if objective.events.unknown > 0 => {
            "the upper bound is below the target, even if all unknown events were good".to_owned()
        }
        Bound::Hi => "the target is missed; nothing is unknown".to_owned(),
    })
}

/// The alert conditions that hold.
pub fn firing(objective: &Evaluation) -> impl Iterator<Item = &Burn> {
    let holds = |burn: &&Burn| matches!(burn.fires, Fires::Certainly | Fires::Possibly);
    objective.burn.iter().filter(holds)
}

/// An alert condition that holds, in words.
pub fn burn_words(burn: &Burn) -> String {
    let bound = match burn.fires {
        Fires::Possibly => "possibly (upper bound of the burn rate alone)",
        _ => "certainly",
    };
    let short = match &burn.short_window {
        Some(window) => format!(" and {} over {window}", interval(burn.short, "")),
        None => String::new(),
    };
    format!(
        "{}: burns {bound} faster than {}: {} over {}{short}",
        burn.severity,
        burn.threshold,
        interval(burn.long, ""),
        burn.long_window
    )
}

fn interval(interval: Option<Interval>, unit: &str) -> String {
    match interval {
        None => "-".to_owned(),
        Some(Interval { lo, hi }) if lo == hi => format!("{}{unit}", number(lo)),
        Some(Interval { lo, hi }) => format!("{}..{}{unit}", number(lo), number(hi)),
    }
}

/// Three decimals, towards the worse: 99.9996 is not 100. None where there are none.
fn number(value: f64) -> String {
    let cut = (value * 1e3 + 1e-7).floor() / 1e3;
    format!("{cut}")
}
