//! Showing what happens: spinners on a terminal, plain lines elsewhere, nothing when asked to be quiet.

use std::{
    collections::HashMap,
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use report::Style;
use vm::{Event, Progress};

use crate::out::err;

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// Where events go, for these options. Progress is on standard error; results are on standard output.
pub fn progress(quiet: bool) -> Progress {
    if quiet {
        // A notice changes what a result means, so it is never dropped.
        return Progress::new(|event| {
            if let Event::Notice { subject, what } = event {
                err!("{subject}: {what}");
            }
        });
    }
    if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        return on_a_terminal();
    }
    Progress::new(|event| match event {
        Event::Step { subject, what } => err!("{subject}: {what}"),
        Event::Notice { subject, what } => err!("{subject}: note: {what}"),
    })
}

fn on_a_terminal() -> Progress {
    let all = MultiProgress::new();
    let bars: Mutex<HashMap<String, ProgressBar>> = Mutex::new(HashMap::new());
    Progress::new(move |event| {
        // A poisoned lock only means that another thread panicked while it drew.
        let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Step { subject, what } => {
                let bar = bars.entry(subject.clone()).or_insert_with(|| {
                    let bar = all.add(ProgressBar::new_spinner());
                    if let Ok(style) =
                        ProgressStyle::with_template("{spinner} {prefix:>8} {msg} {elapsed:.dim}")
                    {
                        bar.set_style(style);
                    }
                    bar.set_prefix(subject);
                    bar.enable_steady_tick(TURN);
                    bar
                });
                if what == DONE {
                    bar.finish_and_clear();
                } else {
                    bar.set_message(what);
                }
            }
            Event::Notice { subject, what } => {
                // Drawing fails only when the terminal is gone.
                let _ = all.println(format!("{subject}: note: {what}"));
            }
        }
    })
}

/// The step that takes a subject's line away.
pub const DONE: &str = "done";

/// Bytes for people.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// How reports are dressed: with colours on a terminal.
pub fn style() -> Style {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Style::Coloured
    } else {
        Style::Plain
    }
}

/// An error in one line with what to do.
pub fn with_help(error: &dyn miette::Diagnostic) -> String {
    match error.help() {
        Some(help) => format!("{error} ({help})"),
        None => error.to_string(),
    }
}
