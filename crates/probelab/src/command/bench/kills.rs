//! `probelab bench kills`: what a hundred `kill -9` of `probed` under load leave behind, and what it counts afterwards.

use miette::{Result, miette};
use serde::Serialize;
use wire::Record;

use super::{exit_of, series, subject::Subject};
use crate::{
    cells::fetch_all,
    cli::Measured,
    exit::Exit,
    open::Context,
    out::{self, out},
    show::DONE,
};

/// Fifty lives with a blocklist that ends with the daemon, fifty with one that a file keeps.
const SCENARIO: &str = "restart-often";

#[derive(Debug, Serialize)]
struct Row {
    kernel: String,
    manifest: String,
    kills: u64,
    /// Things done and counted in all lives together.
    done: u64,
    /// By how many the counts differ from them.
    miscounted: u64,
    lost: u64,
    /// Programs, maps, links, sockets and breakpoints that nobody holds on purpose.
    stray: u64,
    /// Packets from a listed address while no daemon ran.
    listed_sent: u64,
    listed_arrived: u64,
    /// What did not hold; empty when everything did.
    complaint: String,
}

/// Runs the command.
pub async fn run(context: &Context, what: &Measured) -> Result<Exit> {
    let subject = Subject::prepare(context, None, what.loader, SCENARIO).await?;
    let mut rows = Vec::new();
    for kernel in fetch_all(context, &context.sources(&what.kernel, None)?).await? {
        let (record, complaint) = subject.run(&kernel).await?;
        for manifest in ["own.yaml", "keeping.yaml"] {
            rows.push(row(&record, manifest, &complaint)?);
        }
        context.progress.step(&kernel.label(), DONE);
    }
    if what.json {
        out::json(&rows)?;
    } else {
        print(&rows)?;
    }
    Ok(exit_of(rows.iter().all(|row| row.complaint.is_empty())))
}

fn row(record: &Record, manifest: &str, complaint: &str) -> Result<Row> {
    let said = series(record, "load.restart")?;
    let of = |name: &str| {
        let mut found = said.iter().filter(|series| {
            series.name == name
                && series
                    .labels
                    .get("manifest")
                    .is_some_and(|value| value == manifest)
        });
        let found = found.next().map(|series| series.value as u64);
        found.ok_or_else(|| miette!("the run brought no {name} of {manifest} home"))
    };
    Ok(Row {
        kernel: record.kernel.label(),
        manifest: manifest.to_owned(),
        kills: of("kills")?,
        done: of("done")?,
        miscounted: of("miscounted")?,
        lost: of("lost")?,
        stray: of("stray_objects")? + of("stray_breakpoints")?,
        listed_sent: of("listed_sent")?,
        listed_arrived: of("listed_arrived")?,
        complaint: complaint.to_owned(),
    })
}

fn print(rows: &[Row]) -> Result<()> {
    out!(
        "kernel       manifest      kills   done  miscounted  lost  stray  listed packets that arrived between"
    );
    for row in rows {
        out!(
            "{:11}  {:12}  {:>5}  {:>5}  {:>10}  {:>4}  {:>5}  {} of {}",
            row.kernel,
            row.manifest,
            row.kills,
            row.done,
            row.miscounted,
            row.lost,
            row.stray,
            row.listed_arrived,
            row.listed_sent,
        );
    }
    let mut complaints: Vec<&str> = rows.iter().map(|row| row.complaint.as_str()).collect();
    complaints.dedup();
    for complaint in complaints.iter().filter(|complaint| !complaint.is_empty()) {
        out!("{complaint}");
    }
    out!("promised: nothing miscounted, lost or stray; all arrive with own.yaml, none with keeping.yaml");
    Ok(())
}
