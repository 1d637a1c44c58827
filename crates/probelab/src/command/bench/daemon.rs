//! `probelab bench daemon`: what `probed` takes under load. 60,000 requests on each kernel of the virtual lane, and
//! 10,000 requests a second for a minute on this machine's own.
//!
//! The scenarios count and measure; what they must keep to is in their expectations, so that this prints what was
//! measured and what the judge said of it.

use miette::{Result, miette};
use scenario::Series;
use serde::Serialize;
use vm::{kernels::Kernel, visit::Place};
use wire::{Lane, Record};

use super::{exit_of, series, subject::Subject};
use crate::{
    cells::{fetch_all, running_kernel},
    cli::Measured,
    exit::Exit,
    open::Context,
    out::{self, out},
    show::{DONE, bytes},
};

/// 60,000 requests, in instructions.
const ENDURANCE: &str = "http-endurance";
/// 10,000 requests a second, in real time.
const RATE: &str = "http-rate";

#[derive(Debug, Serialize)]
struct Row {
    lane: Lane,
    kernel: String,
    requests: u64,
    /// Requests that the probe and the server do not count alike.
    unaccounted_requests: u64,
    requests_per_second: Option<f64>,
    resident_bytes: u64,
    resident_growth_bytes: u64,
    processor_share: f64,
    /// Median time from the start of a daemon with five probes to its first metrics.
    start_seconds: Option<f64>,
    /// What did not hold; empty when everything did.
    complaint: String,
}

/// Runs the command.
pub async fn run(context: &Context, what: &Measured, on_host: bool) -> Result<Exit> {
    let loader = what.loader;
    let mut rows = Vec::new();
    // First, because it may be refused, and what was measured before would be lost.
    if on_host {
        let subject = Subject::prepare(context, Some(&Place::Here), loader, RATE).await?;
        let measured = measure(&subject, &running_kernel(&Place::Here.kernel_name())).await;
        subject.close().await;
        rows.push(measured?);
    }
    let subject = Subject::prepare(context, None, loader, ENDURANCE).await?;
    for kernel in fetch_all(context, &context.sources(&what.kernel, None)?).await? {
        rows.push(measure(&subject, &kernel).await?);
        context.progress.step(&kernel.label(), DONE);
    }
    if what.json {
        out::json(&rows)?;
    } else {
        print(&rows)?;
    }
    Ok(exit_of(rows.iter().all(|row| row.complaint.is_empty())))
}

async fn measure(subject: &Subject, kernel: &Kernel) -> Result<Row> {
    let (record, complaint) = subject.run(kernel).await?;
    row(&record, complaint)
}

fn row(record: &Record, complaint: String) -> Result<Row> {
    let (client, server) = (series(record, "load.requests")?, series(record, "load.logs")?);
    let probe = series(record, "metrics")?;
    let one = |name: &str| {
        let mut found = client.iter().filter(|series| series.name == name);
        found.next().map(|series| series.value)
    };
    let needed = |name: &str| one(name).ok_or_else(|| miette!("the run brought no {name} home"));
    let counted = sum(&probe, "http_server_request_duration_seconds_count");
    let answered = sum(&server, "servers_exchanges_total");
    Ok(Row {
        lane: record.lane,
        kernel: match record.lane {
            Lane::Host => record.kernel_release.clone(),
            _ => record.kernel.label(),
        },
        requests: counted as u64,
        unaccounted_requests: (counted - answered).abs() as u64,
        requests_per_second: one("requests_per_second"),
        resident_bytes: needed("daemon_resident_bytes")? as u64,
        resident_growth_bytes: needed("daemon_resident_growth_bytes")? as u64,
        processor_share: needed("daemon_processor_share")?,
        start_seconds: one("daemon_start_seconds"),
        complaint,
    })
}

fn sum(series: &[Series], name: &str) -> f64 {
    let named = series.iter().filter(|series| series.name == name);
    named.map(|series| series.value).sum()
}

fn print(rows: &[Row]) -> Result<()> {
    out!("lane     kernel       requests  unaccounted  per s  resident   growth     processor  start s");
    for row in rows {
        out!(
            "{:7}  {:11}  {:8}  {:11}  {:>5}  {:>9}  {:>9}  {:>8.3} %  {:>7}",
            row.lane.to_string(),
            row.kernel,
            row.requests,
            row.unaccounted_requests,
            row.requests_per_second
                .map_or("-".into(), |rate| format!("{rate:.0}")),
            bytes(row.resident_bytes),
            bytes(row.resident_growth_bytes),
            row.processor_share * 100.0,
            row.start_seconds
                .map_or("-".into(), |seconds| format!("{seconds:.3}")),
        );
        if !row.complaint.is_empty() {
            out!("         {}", row.complaint);
        }
    }
    out!("promised: all accounted for, growth ≤ 1 MiB after the warm-up, processor ≤ 1 %, start ≤ 0.5 s");
    Ok(())
}
