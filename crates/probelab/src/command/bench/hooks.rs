//! `probelab bench hooks`: what each probe costs per event, beside bcc's tool for the same job on the same run. bpftrace's
//! are beside ours in `cargo bench -p probe`: each brings a compiler along, which every checkpoint would have to carry.
//!
//! The scenario runs all at once over one workload, which counts its own events, and has the kernel's statistics of
//! every BPF program printed before and after. A cost is the run time of all programs of a job, which in the virtual
//! lane is their instructions and on this machine nanoseconds, less what as many runs of an empty program take, divided
//! by the workload's count.

use miette::{Result, miette};
use scenario::Series;
use serde::Serialize;
use vm::visit::Place;
use wire::{Lane, Record};

use super::{exit_of, series, subject::Subject};
use crate::{
    cells::{fetch_all, running_kernel},
    cli::Measured,
    exit::Exit,
    open::Context,
    out::{self, err, out},
    show::DONE,
};

/// The scenario that runs the probes and the tools together.
const SCENARIO: &str = "peers";

/// One job that both do: the label of the workload's count, the prefix of our programs' names, and who else does it.
struct Job {
    name: &'static str,
    counted_as: &'static str,
    ours: &'static str,
    peer: Peer,
}

/// A tool of bcc.
struct Peer {
    tool: &'static str,
    /// The name that the kernel gives its process (cut after 15 bytes).
    process: &'static str,
}

const JOBS: [Job; 6] = [
    job("switch", "switch", "runq_", "runqlat", "runqlat-libbpf"),
    // The same programs of ours: they report the long ones as well.
    job("slow switch", "switch", "runq_", "runqslower", "runqslower-libb"),
    job("connect", "connect", "connect_", "tcpconnlat", "tcpconnlat-libb"),
    job("exec", "exec", "activity_sched", "execsnoop", "execsnoop-libbp"),
    job("open", "open", "activity_sys", "opensnoop", "opensnoop-libbp"),
    job("call", "call", "calls_", "funclatency", "funclatency-lib"),
];

const fn job(
    name: &'static str,
    counted_as: &'static str,
    ours: &'static str,
    tool: &'static str,
    process: &'static str,
) -> Job {
    Job {
        name,
        counted_as,
        ours,
        peer: Peer { tool, process },
    }
}

#[derive(Debug, Serialize)]
struct Row {
    kernel: String,
    /// In the virtual lane costs are instructions. On this machine they are nanoseconds, and a promise would be one about
    /// what else it does.
    lane: Lane,
    job: &'static str,
    events: u64,
    /// Of an empty program, per run.
    empty_per_run: f64,
    /// Ours, net, per event.
    net_per_event: f64,
    /// The tool's, net, per event; nothing when it does not start on this kernel.
    peer_net_per_event: Option<f64>,
    peer: &'static str,
    /// Ours by the tool's.
    ratio: Option<f64>,
}

/// Runs the command.
pub async fn run(context: &Context, what: &Measured, on_host: bool) -> Result<Exit> {
    let mut rows = Vec::new();
    // First, because it may be refused, and what was measured before would be lost.
    if on_host && !nix::unistd::geteuid().is_root() {
        err!("without this machine's own kernel, which needs root");
    } else if on_host {
        let subject = Subject::prepare(context, Some(&Place::Here), what.loader, SCENARIO).await?;
        let record = subject.record(&running_kernel(&Place::Here.kernel_name())).await;
        subject.close().await;
        let record = record?;
        rows.extend(measure(&record.kernel_release, &record)?);
    }
    let subject = Subject::prepare(context, None, what.loader, SCENARIO).await?;
    for kernel in fetch_all(context, &context.sources(&what.kernel, None)?).await? {
        let record = subject.record(&kernel).await?;
        rows.extend(measure(&kernel.label(), &record)?);
        context.progress.step(&kernel.label(), DONE);
    }
    if what.json {
        out::json(&rows)?;
    } else {
        print(&rows)?;
    }
    Ok(exit_of(rows.iter().all(holds)))
}

/// Sum of the series of this name whose labels fit.
fn sum(series: &[Series], name: &str, fits: &dyn Fn(&str, &str) -> bool) -> f64 {
    let label = |series: &Series, name: &str| series.labels.get(name).cloned().unwrap_or_default();
    series
        .iter()
        .filter(|series| series.name == name && fits(&label(series, "process"), &label(series, "program")))
        .map(|series| series.value)
        .sum()
}

/// Runs, and run time in nanoseconds, of the fitting programs between the two looks.
fn between(before: &[Series], after: &[Series], fits: &dyn Fn(&str, &str) -> bool) -> (f64, f64) {
    let grown = |name| sum(after, name, fits) - sum(before, name, fits);
    (
        grown("bpf_program_runs_total"),
        grown("bpf_program_run_time_seconds_total") * 1e9,
    )
}

fn measure(kernel: &str, record: &Record) -> Result<Vec<Row>> {
    let (before, after) = (series(record, "load.before")?, series(record, "load.after")?);
    let counted = series(record, "load.events")?;
    let (runs, cost) = between(&before, &after, &|process, program| {
        process == "probed" && program == "empty"
    });
    let empty_per_run = cost / runs;
    if !empty_per_run.is_finite() {
        return Err(miette!(
            "{kernel}: the empty program did not run: is kernel.bpf_stats_enabled set?"
        ));
    }
    let mut rows = Vec::new();
    for job in &JOBS {
        let events: f64 = counted
            .iter()
            .filter(|series| {
                series
                    .labels
                    .get("job")
                    .is_some_and(|name| name == job.counted_as)
            })
            .map(|series| series.value)
            .sum();
        let net = |(runs, cost): (f64, f64)| (runs > 0.0).then_some((cost - runs * empty_per_run) / events);
        let ours = between(&before, &after, &|process, program| {
            process == "probed" && program.starts_with(job.ours)
        });
        let ours = net(ours).ok_or_else(|| miette!("{kernel}: no program {}… of ours ran", job.ours))?;
        let peer = net(between(&before, &after, &|process, _| {
            process == job.peer.process
        }));
        rows.push(Row {
            kernel: kernel.to_owned(),
            lane: record.lane,
            job: job.name,
            events: events as u64,
            empty_per_run,
            net_per_event: ours,
            peer_net_per_event: peer,
            peer: job.peer.tool,
            ratio: peer.map(|peer| ours / peer),
        });
    }
    Ok(rows)
}

/// No hook of ours may cost more than the tool's for the same job.
fn holds(row: &Row) -> bool {
    row.lane != Lane::Virtual
        || row
            .peer_net_per_event
            .is_none_or(|peer| row.net_per_event <= peer)
}

fn unit(lane: Lane) -> &'static str {
    match lane {
        Lane::Virtual => "instructions",
        _ => "ns",
    }
}

fn print(rows: &[Row]) -> Result<()> {
    out!(
        "kernel           job          events  net per event, in  ours  peer                      ratio  empty program"
    );
    for row in rows {
        let peer = row
            .peer_net_per_event
            .map_or("does not run".to_owned(), |peer| format!("{peer:.0}"));
        out!(
            "{:15}  {:11}  {:>6}  {:17}  {:>4.0}  {:24}  {:>5}  {:.0}",
            row.kernel,
            row.job,
            row.events,
            unit(row.lane),
            row.net_per_event,
            format!("{peer} {}", row.peer),
            row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
            row.empty_per_run,
        );
    }
    out!(
        "promised: where it is counted in instructions, no hook costs more than the peer's for the same job"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(runs: u64, seconds: f64) -> Vec<Series> {
        let text = format!(
            "# TYPE bpf_program_runs counter\n\
             bpf_program_runs_total{{process=\"probed\",program=\"runq_switch\"}} {runs}\n\
             # TYPE bpf_program_run_time_seconds counter\n\
             bpf_program_run_time_seconds_total{{process=\"probed\",program=\"runq_switch\"}} {seconds}\n# EOF\n"
        );
        scenario::read_openmetrics(&text).unwrap()
    }

    #[test]
    fn only_what_grew_between_the_looks_counts() {
        let ours = |process: &str, program: &str| process == "probed" && program.starts_with("runq_");
        let (runs, instructions) = between(&look(10, 1e-6), &look(30, 5e-6), &ours);
        assert_eq!((runs, instructions.round()), (20.0, 4000.0));
        let others = |process: &str, _: &str| process == "runqlat-libbpf";
        assert_eq!(between(&look(10, 1e-6), &look(30, 5e-6), &others), (0.0, 0.0));
    }
}
