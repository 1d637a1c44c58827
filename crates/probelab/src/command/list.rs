//! `probelab list`: the scenarios.

use miette::Result;
use serde::Serialize;

use crate::{
    exit::Exit,
    open::Context,
    out::{self, out},
};

#[derive(Serialize)]
struct Row {
    name: String,
    about: String,
    must_fail: Vec<String>,
    /// Why `all` does not mean it.
    only_by_name: Option<String>,
}

/// Runs the command.
pub fn run(context: &Context, json: bool) -> Result<Exit> {
    let rows: Vec<Row> = context
        .project
        .every()?
        .into_iter()
        .map(|loaded| Row {
            about: loaded.scenario.about().to_owned(),
            must_fail: loaded.scenario.must_fail().map(str::to_owned).collect(),
            only_by_name: loaded.scenario.only_by_name().map(str::to_owned),
            name: loaded.name,
        })
        .collect();
    if json {
        out::json(&rows)?;
        return Ok(Exit::Passed);
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    for row in rows {
        let mark = match (&row.only_by_name, row.must_fail.is_empty()) {
            (Some(why), _) => format!(" (only by name: {why})"),
            (None, true) => String::new(),
            (None, false) => " (must fail)".to_owned(),
        };
        out!("{:width$}  {}{mark}", row.name, row.about);
    }
    Ok(Exit::Passed)
}
