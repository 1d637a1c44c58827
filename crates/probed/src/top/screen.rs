//! The terminal screen: both tables, drawn again with every scrape. Keys: `q`, Escape and Ctrl-C end it.

use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, Row, Table};

use super::table::{GROUP_HEADS, PAIR_HEADS, group_rows, pair_rows};
use super::waits::Waits;

/// Widths of the columns; the two of paths share what is left.
const WIDTHS: [Constraint; 5] = [
    Constraint::Length(10),
    Constraint::Length(10),
    Constraint::Length(10),
    Constraint::Fill(1),
    Constraint::Fill(1),
];

/// Draws until it is told to end. The terminal is as before afterwards, also after an error.
pub fn show(
    from: &str,
    every: Duration,
    mut next: impl FnMut() -> anyhow::Result<Waits>,
) -> anyhow::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let result = (|| -> anyhow::Result<()> {
        let mut waits = None;
        loop {
            terminal.draw(|frame| draw(frame, from, waits.as_ref()))?;
            if wait(every)? {
                return Ok(());
            }
            waits = Some(next()?);
        }
    })();
    ratatui::restore();
    result
}

/// Waits for the next picture; true when the user wants to end. What else is typed, or a new size, is drawn at once.
fn wait(every: Duration) -> std::io::Result<bool> {
    let end = Instant::now() + every;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        if let Event::Key(key) = event::read()? {
            let is_interrupt =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(true);
            }
        }
    }
}

fn draw(frame: &mut Frame<'_>, from: &str, waits: Option<&Waits>) {
    let Some(waits) = waits else {
        frame.render_widget(format!("Counting waits at {from} …  q ends"), frame.area());
        return;
    };
    let [upper, lower] =
        Layout::vertical([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(frame.area());
    let title = format!(
        " waits for a processor at {from}, {:.1} s (q ends) ",
        waits.seconds
    );
    table(frame, upper, title, GROUP_HEADS, group_rows(waits));
    table(
        frame,
        lower,
        " who hurts whom ".to_owned(),
        PAIR_HEADS,
        pair_rows(waits),
    );
}

fn table(frame: &mut Frame<'_>, area: Rect, title: String, heads: [&'static str; 5], rows: Vec<[String; 5]>) {
    let table = Table::new(rows.into_iter().map(Row::new), WIDTHS)
        .header(Row::new(heads).style(Style::new().add_modifier(Modifier::BOLD)))
        .block(Block::bordered().title(title));
    frame.render_widget(table, area);
}

#[cfg(test)]
mod tests {
    use super::super::waits::tests::example;
    use super::*;
    use ratatui::{Terminal, backend::TestBackend};

    #[test]
    fn both_tables_are_on_the_screen() {
        let mut terminal = Terminal::new(TestBackend::new(72, 10)).unwrap();
        terminal
            .draw(|frame| draw(frame, "127.0.0.1:9464", Some(&example())))
            .unwrap();
        let screen = terminal.backend().to_string();
        for words in [
            "waits for a processor at 127.0.0.1:9464, 2.0 s",
            "who hurts whom",
            "/victim",
            "50.0 %",
            "40.0 %",
        ] {
            assert!(screen.contains(words), "{words}: {screen}");
        }
    }
}
