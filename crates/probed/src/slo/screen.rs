//! How the watch screen looks. It only draws; `watch` owns the terminal.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Row, Table, Wrap};
use slo::{Evaluation, Fires, Report, Status, render};

/// Draws a report, or why there is none.
pub fn draw(frame: &mut Frame<'_>, report: &anyhow::Result<Report>) {
    let rows = report.as_ref().map_or(0, |report| report.objectives.len());
    let table_height = u16::try_from(rows + 2).unwrap_or(u16::MAX);
    let areas = Layout::vertical([
        Constraint::Length(table_height),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [top, middle, bottom] = areas.areas(frame.area());
    match report {
        Ok(report) => {
            frame.render_widget(table(report), top);
            frame.render_widget(Paragraph::new(details(report)).wrap(Wrap { trim: false }), middle);
        }
        Err(error) => {
            let words = Paragraph::new(format!("{error:#}")).style(Style::new().fg(Color::Red));
            frame.render_widget(words.wrap(Wrap { trim: false }), middle);
        }
    }
    let keys = Line::from("q: quit").style(Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(keys, bottom);
}

fn table(report: &Report) -> Table<'_> {
    let row = |objective: &Evaluation| Row::new(render::cells(objective)).style(style(objective.status));
    let cells: Vec<[String; 8]> = report.objectives.iter().map(render::cells).collect();
    let widths = (0..render::HEADER.len()).map(|column| {
        let own = cells
            .iter()
            .map(|cells| cells[column].chars().count())
            .max()
            .unwrap_or(0);
        let width = own.max(render::HEADER[column].len());
        // The name is cut first: every other column is needed whole.
        match column {
            1 => Constraint::Max(u16::try_from(width).unwrap_or(u16::MAX)),
            _ => Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX)),
        }
    });
    Table::new(report.objectives.iter().map(row), widths.collect::<Vec<_>>())
        .header(Row::new(render::HEADER).style(Style::new().add_modifier(Modifier::BOLD)))
        .column_spacing(2)
}

fn style(status: Status) -> Style {
    Style::new().fg(match status {
        Status::Met => Color::Green,
        Status::Missed => Color::Red,
        Status::Undecided => Color::Yellow,
        Status::NoTraffic | Status::Unobserved => Color::Reset,
    })
}

/// What has to be known beside the numbers.
fn details(report: &Report) -> Text<'static> {
    let mut lines = Vec::new();
    for objective in &report.objectives {
        let mut own: Vec<Line<'static>> = Vec::new();
        own.extend(render::crossing(objective).map(Line::from));
        for burn in render::firing(objective) {
            let colour = match burn.fires {
                Fires::Possibly => Color::Yellow,
                _ => Color::Red,
            };
            own.push(Line::from(render::burn_words(burn)).style(Style::new().fg(colour)));
        }
        own.extend(objective.notes.iter().cloned().map(Line::from));
        if own.is_empty() {
            continue;
        }
        let title = Line::from(objective.name.clone());
        lines.push(title.style(Style::new().add_modifier(Modifier::BOLD)));
        lines.extend(own.into_iter().map(|mut line| {
            line.spans.insert(0, "  ".into());
            line
        }));
    }
    Text::from(lines)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use slo::{ClientErrors, History, Names};

    use super::*;

    fn drawn(width: u16, report: &anyhow::Result<Report>) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, 16)).unwrap();
        terminal.draw(|frame| draw(frame, report)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_screen_has_numbers_reasons_and_a_way_out() {
        let text = include_str!("../../../../scenarios/slo-http/reliably.yaml");
        let objectives = slo::parse(text, ClientErrors::default()).unwrap();
        let reading = |good: u64, bad: u64, unknown: u64, seconds: u64| {
            let count = "http_server_request_duration_seconds_count{http_response_status_code=";
            format!(
                "{count}\"200\"}} {good} {seconds}\n{count}\"500\"}} {bad} {seconds}\n\
                 # TYPE http_server_requests_unknown counter\nhttp_server_requests_unknown_total {unknown} {seconds}\n\
                 # TYPE probelab_attached gauge\nprobelab_attached{{probe=\"http\"}} 1 {seconds}\n# EOF\n"
            )
        };
        let recording = reading(0, 0, 0, 1_700_000_000) + &reading(990, 9, 4, 1_700_000_060);
        let history = History::read(&recording, 60_000, 1, &Names::of(&objectives)).unwrap();
        let report = Ok(slo::evaluate(&objectives, &history));
        let wide = drawn(170, &report);
        for words in [
            "BUDGET LEFT",
            "99.5% of the responses are under 150ms",
            "990/999 + 4 unknown",
            "undecided",
            "the lower bound alone is below the target",
            "q: quit",
        ] {
            assert!(wide.contains(words), "{words}:\n{wide}");
        }
        // Narrow: the name gives way, and no number does.
        let narrow = drawn(120, &report);
        assert!(
            narrow.contains("990/999 + 4 unknown") && narrow.contains("undecided"),
            "{narrow}"
        );
    }

    #[test]
    fn a_daemon_that_is_gone_is_shown() {
        let report =
            Err(anyhow::anyhow!("refused").context("no answer from http://127.0.0.1:9464/slo/samples"));
        assert!(drawn(80, &report).contains("no answer from http://127.0.0.1:9464/slo/samples: refused"));
    }
}
