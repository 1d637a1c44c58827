//! Telling what came of runs: on standard output, and in the files that were asked for.

use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr};
use report::{Cell, Style, for_people, to_html, to_json, to_junit, to_ktap, to_markdown, to_ndjson, to_svg};
use scenario::exit_code;

use crate::{
    cells::Done,
    cli::{Format, Reports},
    exit::Exit,
    out::text,
    show::style,
};

/// Prints the report: as JSON, or as people read it.
pub fn print(done: &[Done], json: bool) -> Result<()> {
    let cells: Vec<Cell<'_>> = done.iter().map(Done::cell).collect();
    match json {
        true => text(&to_json(&cells).into_diagnostic()?),
        false => text(&for_people(&cells, style())),
    }
}

/// Prints the report in a format; `command` is what a picture shows above it.
pub fn print_as(done: &[Done], format: Format, command: &str) -> Result<()> {
    let cells: Vec<Cell<'_>> = done.iter().map(Done::cell).collect();
    match format {
        Format::Text => print(done, false),
        other => text(&rendered(&cells, other, command)?),
    }
}

/// Writes the reports that were asked for.
pub fn write_all(done: &[Done], reports: &Reports, command: &str) -> Result<()> {
    let cells: Vec<Cell<'_>> = done.iter().map(Done::cell).collect();
    write_cells(&cells, reports, command)
}

/// The same of cells that came of something else than runs.
pub fn write_cells(cells: &[Cell<'_>], reports: &Reports, command: &str) -> Result<()> {
    for file in &reports.files {
        write(&file.path, &rendered(cells, file.format, command)?)?;
    }
    Ok(())
}

/// Writes a file, and says which when that fails.
pub fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)
        .into_diagnostic()
        .wrap_err_with(|| format!("writing {}", path.display()))
}

/// What the program exits with.
pub fn exit(done: &[Done]) -> Exit {
    Exit::from_code(exit_code(done.iter().map(|done| &done.judgement)) as u8)
}

fn rendered(cells: &[Cell<'_>], format: Format, command: &str) -> Result<String> {
    Ok(match format {
        Format::Text => for_people(cells, Style::Plain),
        Format::Json => to_json(cells).into_diagnostic()?,
        Format::Ndjson => to_ndjson(cells).into_diagnostic()?,
        Format::Junit => to_junit(cells).into_diagnostic()?,
        Format::Ktap => to_ktap(cells),
        Format::Markdown => to_markdown(cells),
        Format::Html => to_html(cells).into_diagnostic()?,
        Format::Svg => to_svg(cells, command),
    })
}
