//! A report again and again: a screen that leaves the terminal as it found it, or lines.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use slo::{Report, render};

use super::objectives::Objectives;
use super::output::{self, Format};
use super::screen;
use super::source::Source;

/// How often the screen is drawn anew.
const REDRAW: Duration = Duration::from_secs(1);
/// How often lines are printed.
const REPRINT: Duration = Duration::from_secs(3);
/// How soon a key or a signal is seen.
const ATTENTION: Duration = Duration::from_millis(100);

/// Set by the signals that end a program.
fn stop_on_signals() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("cannot watch for signals")?;
    }
    Ok(stop)
}

/// Shows the report until `q`, Ctrl-C or a signal.
///
/// # Errors
/// When the terminal cannot be used. A daemon that does not answer is shown, and waited for.
pub fn on_screen(objectives: &Objectives, source: &mut Source) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    // It also restores the terminal on a panic.
    let mut terminal = ratatui::try_init().context("cannot use the terminal as a screen")?;
    let result = show(&mut terminal, objectives, source, &stop);
    ratatui::restore();
    result
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    objectives: &Objectives,
    source: &mut Source,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    loop {
        let report = source.now(objectives).map(|history| objectives.report(&history));
        let drawn = Instant::now();
        terminal.draw(|frame| screen::draw(frame, &report))?;
        while drawn.elapsed() < REDRAW {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            // A signal interrupts the wait, which is no error of the terminal.
            match event::poll(ATTENTION) {
                Ok(false) => {}
                Ok(true) => match event::read()? {
                    event if is_end(&event) => return Ok(()),
                    Event::Resize(..) => {
                        terminal.draw(|frame| screen::draw(frame, &report))?;
                    }
                    _ => {}
                },
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

/// Prints the report until a signal.
///
/// # Errors
/// When nobody answers, or nothing can be written.
pub fn in_lines(
    objectives: &Objectives,
    source: &mut Source,
    format: Format,
    file: Option<&Path>,
) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    loop {
        let report = objectives.report(&source.now(objectives)?);
        let text = match format {
            Format::Simple if file.is_none() => lines(&report),
            format => format.text(&report)?,
        };
        output::put(&text, file)?;
        let printed = Instant::now();
        while printed.elapsed() < REPRINT {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            std::thread::sleep(ATTENTION);
        }
    }
}

/// One line for each objective: what a log wants.
fn lines(report: &Report) -> String {
    let line = |objective: &slo::Evaluation| {
        let [service, name, target, window, good, events, left, status] = render::cells(objective);
        format!(
            "{:.3} {status}: {service}: {name}: good {good} (target {target} over {window}), {events} events, budget left \
             {left}\n",
            objective.to_unix_seconds
        )
    };
    report.objectives.iter().map(line).collect()
}
