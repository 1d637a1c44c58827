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
}

/// Runs the command.
pub fn run(context: &Context, json: bool) -> Result<Exit> {
    let rows: Vec<Row> = context
        .project
        .load(&["all".into()])?
        .into_iter()
        .map(|loaded| Row {
            about: loaded.scenario.about().to_owned(),
            must_fail: loaded.scenario.must_fail().map(str::to_owned).collect(),
            name: loaded.name,
        })
        .collect();
    if json {
        out::json(&rows)?;
        return Ok(Exit::Passed);
    }
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
    for row in rows {
        let mark = if row.must_fail.is_empty() {
            ""
        } else {
            " (must fail)"
        };
        out!("{:width$}  {}{mark}", row.name, row.about);
    }
    Ok(Exit::Passed)
}
