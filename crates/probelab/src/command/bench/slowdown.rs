//! What the workload of `probelab bench vm` loses to the probe: the instructions of its server and the latency that `hey`
//! sees, once with the probe and once without, on restores of one checkpoint.
//!
//! In the virtual lane a nanosecond of guest time is an instruction, so what the scheduler books on the server's tasks
//! (`/proc/PID/schedstat`, first number) are its instructions, with all that runs in their place: interrupts and the probe.

use miette::{Result, miette};
use scenario::{MANIFEST_PATH, OUTPUT_FOLDER, OracleKind};
use serde::Serialize;
use vm::{
    kernels::Kernel,
    run::{Lab, Request},
};
use wire::{Collect, Record, Workload, WorkloadEnd};

use super::completed;
use crate::out::out;

/// The load whose clients tell their latency.
const CLIENTS: &str = "load.hey";
/// Prints the processor time of every process of the server. The brackets keep the command from finding itself.
const TIME_OF_SERVER: &str = "for process in /proc/[0-9]*; do \
     grep -qs '[u]vicorn' $process/cmdline && cat $process/schedstat; done; true";
/// Outputs of it, before the clients start and when they are done.
const BEFORE: &str = "server-before";
const AFTER: &str = "server-after";

/// The kernel's own measuring of programs, which a user does not have on.
const STATISTICS: &str = "kernel.bpf_stats_enabled";
/// The manifest's wish for an empty program beside the probe, and that for none.
const CALIBRATE: [&str; 2] = ["calibrate: true", "calibrate: false"];

/// A run with the probe beside one without.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Slowdown {
    with_probe: Workloads,
    without_probe: Workloads,
}

/// How the server and its clients did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Workloads {
    requests: usize,
    server_instructions_per_request: f64,
    latency_seconds: Latency,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Latency {
    mean: f64,
    p50: f64,
    p99: f64,
}

impl Slowdown {
    /// Runs the request twice more.
    pub async fn measure(lab: &Lab, kernel: &Kernel, request: &Request) -> Result<Self> {
        let with_probe = with_times(as_in_use(request.clone())?)?;
        let mut without_probe = with_probe.clone();
        without_probe.job.probe = None;
        Ok(Self {
            with_probe: Workloads::of(&completed(lab.run(kernel, &with_probe).await?)?)?,
            without_probe: Workloads::of(&completed(lab.run(kernel, &without_probe).await?)?)?,
        })
    }

    /// The lines of the table's second part.
    pub fn print<'a>(rows: impl Iterator<Item = (&'a str, &'a Self)>) -> Result<()> {
        out!(
            "\nkernel  probe    requests  server's instructions per request  | latency of hey, ms: mean     p50     p99"
        );
        for (kernel, slowdown) in rows {
            let both = [("with", slowdown.with_probe), ("without", slowdown.without_probe)];
            for (probe, of) in both {
                out!(
                    "{kernel:6}  {probe:7}  {:>8}  {:>33.0}  | {:>25.3} {:>7.3} {:>7.3}",
                    of.requests,
                    of.server_instructions_per_request,
                    of.latency_seconds.mean * 1e3,
                    of.latency_seconds.p50 * 1e3,
                    of.latency_seconds.p99 * 1e3,
                );
            }
        }
        Ok(())
    }
}

/// The request without what only measures.
fn as_in_use(mut request: Request) -> Result<Request> {
    request.job.sysctls.remove(STATISTICS);
    let [wished, unwished] = CALIBRATE;
    let manifest = request.job.files.iter().find(|file| file.path == MANIFEST_PATH);
    let manifest = manifest.and_then(|file| request.job_blobs.get_mut(file.blob));
    let manifest = manifest.ok_or_else(|| miette!("{} has no manifest", request.scenario))?;
    let text = String::from_utf8_lossy(manifest);
    if !text.contains(wished) {
        return Err(miette!(
            "the manifest of {} has no `{wished}` to take back",
            request.scenario
        ));
    }
    *manifest = text.replace(wished, unwished).into_bytes();
    Ok(request)
}

/// The request with the server's time taken around its clients.
fn with_times(mut request: Request) -> Result<Request> {
    let job = &mut request.job;
    let clients = job.loads.first().cloned();
    let clients = clients.ok_or_else(|| miette!("{} has no load", request.scenario))?;
    let time = |name: &str| Workload {
        name: name.to_owned(),
        command: ["sh", "-c", TIME_OF_SERVER].map(str::to_owned).to_vec(),
        stdout: Some(path(name)),
        end: WorkloadEnd::Success,
        ..clients.clone()
    };
    let (before, after) = (time(BEFORE), time(AFTER));
    job.loads.insert(0, before);
    job.loads.push(after);
    job.collect.extend([BEFORE, AFTER].map(|name| Collect {
        name: name.to_owned(),
        path: path(name),
    }));
    Ok(request)
}

fn path(name: &str) -> String {
    format!("{OUTPUT_FOLDER}/{name}")
}

impl Workloads {
    fn of(record: &Record) -> Result<Self> {
        let output = |name: &str| {
            let output = record.outputs.get(name);
            output
                .map(|output| output.text())
                .ok_or_else(|| miette!("the run brought no {name} home"))
        };
        let series = OracleKind::HeyCsv
            .series(&output(CLIENTS)?)
            .map_err(|error| miette!("{error}"))?;
        let durations = series.iter().filter(|series| series.name.ends_with("_seconds"));
        let durations: Vec<f64> = durations.map(|series| series.value).collect();
        let latency_seconds = Latency::of(durations.clone()).ok_or_else(|| miette!("hey had no answer"))?;
        let spent = instructions(&output(AFTER)?)? - instructions(&output(BEFORE)?)?;
        Ok(Self {
            requests: durations.len(),
            server_instructions_per_request: spent / durations.len() as f64,
            latency_seconds,
        })
    }
}

/// Sum of the times that `schedstat` files say.
fn instructions(schedstats: &str) -> Result<f64> {
    let times = schedstats
        .lines()
        .map(|line| line.split(' ').next()?.parse::<f64>().ok());
    let times: Option<Vec<f64>> = times.collect();
    times
        .filter(|times| !times.is_empty())
        .map(|times| times.iter().sum())
        .ok_or_else(|| miette!("no times of the server in {schedstats:?}"))
}

impl Latency {
    /// `None` of no durations. A quantile is the smallest duration that so many do not exceed.
    fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let count = seconds.len();
        let quantile = |percent: usize| {
            seconds
                .get((count * percent).div_ceil(100).checked_sub(1)?)
                .copied()
        };
        Some(Self {
            mean: seconds.iter().sum::<f64>() / count as f64,
            p50: quantile(50)?,
            p99: quantile(99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_durations_that_were_seen() {
        let seconds = (1..=200).rev().map(f64::from).collect();
        let latency = Latency::of(seconds).unwrap();
        assert_eq!((latency.mean, latency.p50, latency.p99), (100.5, 100.0, 198.0));
        let one = Latency::of(vec![3.0]).unwrap();
        assert_eq!((one.p50, one.p99), (3.0, 3.0));
        assert_eq!(Latency::of(Vec::new()), None);
    }

    #[test]
    fn the_times_of_all_processes_count_and_none_is_an_error() {
        assert_eq!(instructions("100 2 3\n20 0 1\n").unwrap(), 120.0);
        assert!(instructions("").is_err());
        assert!(instructions("x 1 2\n").is_err());
    }
}
