//! Running a job: processors, probe, capture, load, metrics, outputs, in this order.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::Signal;
use wire::{Capture, Job, Probe, Workload, WorkloadEnd};

use crate::{
    Collected,
    channel::Channel,
    get::get,
    machine,
    process::{self, Children, POLL, Running, last_words},
    stage::write_files,
    step::{Failure, InStep, failed, not_ready},
    watchdog::Watchdog,
};

/// Guest time that a program has to end after it was told to.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// A half-full block of the capture ring reaches tcpdump only when its timer retires it, after libpcap's second;
/// SIGINT before that would lose its packets without counting them.
const CAPTURE_RETIRES: Duration = Duration::from_millis(1_200);
/// What the probe daemon is asked for; the lab reads what Prometheus would read.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Runs the job and returns its outputs.
pub fn run(
    job: &Job,
    blobs: &[&[u8]],
    children: &mut Children,
    watchdog: &Watchdog,
    channel: &mut dyn FnMut() -> Result<Channel>,
) -> Result<Collected, Failure> {
    prepare(job, blobs).in_step("job")?;
    // The thread is created with all processors online, so that the scheduler has one history from here on.
    watchdog.watch(channel().in_step("job")?);
    if job.shell {
        watchdog.during("the shell");
        shell().in_step("shell")?;
        return Ok(Collected::new());
    }
    let mut outputs = Collected::new();
    match observe(job, watchdog, &mut outputs) {
        Ok(()) => {}
        Err(mut failure) => {
            failure.outputs = outputs;
            return Err(failure);
        }
    }
    watchdog.during("collecting outputs");
    end_all(children);
    for collect in &job.collect {
        let bytes = fs::read(&collect.path)
            .with_context(|| format!("output `{}`: reading {}", collect.name, collect.path))
            .in_step("collect")?;
        outputs.push((collect.name.clone(), bytes));
    }
    Ok(outputs)
}

fn prepare(job: &Job, blobs: &[&[u8]]) -> Result<()> {
    machine::bring_processors_online(job.cpus)?;
    fs::create_dir_all("/run/lab")?;
    fs::write("/run/lab/seed", format!("{}\n", job.seed))?;
    write_files(&job.files, blobs)?;
    for (name, value) in &job.sysctls {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        fs::write(&path, value).with_context(|| format!("setting {name} = {value}"))?;
    }
    Ok(())
}

/// Probe and capture around the load.
fn observe(job: &Job, watchdog: &Watchdog, outputs: &mut Collected) -> Result<(), Failure> {
    watchdog.during("attaching the probe");
    let probe = match &job.probe {
        Some(probe) => Some((probe, start_probe(probe)?)),
        None => None,
    };
    watchdog.during("starting the capture");
    let capture = match &job.capture {
        Some(capture) => Some(start_capture(capture).in_step("capture")?),
        None => None,
    };
    for load in &job.loads {
        watchdog.during(&format!("load `{}`", load.name));
        run_load(load).in_step("load")?;
    }
    if let Some((probe, running)) = probe {
        watchdog.during("reading the metrics");
        std::thread::sleep(Duration::from_millis(probe.settle_milliseconds));
        outputs.push(("metrics".into(), scrape(probe).in_step("probe")?));
        end_probe(running).in_step("probe")?;
    }
    if let Some(capture) = capture {
        watchdog.during("ending the capture");
        end_capture(capture).in_step("capture")?;
    }
    Ok(())
}

fn start_probe(probe: &Probe) -> Result<Running, Failure> {
    let workload = workload("probed", &probe.command);
    let mut running = process::start(&workload).in_step("probe")?;
    let mut answer = String::from("it does not answer");
    let mut waited = Duration::ZERO;
    while waited < END_PATIENCE {
        if let Ok(Some(status)) = running.ended() {
            return Err(failed(
                "probe",
                &anyhow!("probed ended with {status}: {}", last_words("probed")),
            ));
        }
        match get(&probe.address, "/ready", "*/*") {
            Ok((200, _)) => return Ok(running),
            Ok((status, body)) => answer = format!("{status} {}", String::from_utf8_lossy(&body).trim()),
            Err(_) => {}
        }
        std::thread::sleep(POLL);
        waited += POLL;
    }
    Err(not_ready(
        "probed",
        format!("{answer}; its last words: {}", last_words("probed")),
    ))
}

fn scrape(probe: &Probe) -> Result<Vec<u8>> {
    match get(&probe.address, "/metrics", OPENMETRICS)? {
        (200, body) => Ok(body),
        (status, body) => bail!(
            "GET /metrics answered {status}: {}",
            String::from_utf8_lossy(&body)
        ),
    }
}

fn end_probe(mut running: Running) -> Result<()> {
    running.signal(Signal::SIGTERM)?;
    let status = running.wait(END_PATIENCE)?;
    if !status.success() {
        bail!("probed ended with {status} on SIGTERM: {}", last_words("probed"));
    }
    Ok(())
}

fn start_capture(capture: &Capture) -> Result<Running> {
    let command: Vec<String> = [
        // Nanoseconds, whole packets, no name lookups, no change of user, and a buffer that holds a run.
        "tcpdump --time-stamp-precision=nano -s 0 -n -Z root -B 16384",
        &format!("-i {} -w {}", capture.interface, capture.path),
    ]
    .iter()
    .flat_map(|part| part.split_whitespace())
    .chain(capture.filter.split_whitespace())
    .map(str::to_owned)
    .collect();
    let mut running = process::start(&workload("tcpdump", &command))?;
    let mut waited = Duration::ZERO;
    while !last_words("tcpdump").contains("listening on") {
        if let Some(status) = running.ended()? {
            bail!("tcpdump ended with {status}: {}", last_words("tcpdump"));
        }
        if waited >= END_PATIENCE {
            bail!("tcpdump does not listen: {}", last_words("tcpdump"));
        }
        std::thread::sleep(POLL);
        waited += POLL;
    }
    Ok(running)
}

/// Ends the capture; a capture that lost packets is no oracle.
fn end_capture(mut running: Running) -> Result<()> {
    std::thread::sleep(CAPTURE_RETIRES);
    running.signal(Signal::SIGINT)?;
    let status = running.wait(END_PATIENCE)?;
    let words = last_words("tcpdump");
    if !status.success() {
        bail!("tcpdump ended with {status}: {words}");
    }
    if !words.contains("0 packets dropped by kernel") {
        bail!("the capture is not whole: {words}");
    }
    Ok(())
}

fn run_load(load: &Workload) -> Result<()> {
    let mut running = process::start(load)?;
    let status = running
        .child
        .wait()
        .with_context(|| format!("waiting for {}", load.name))?;
    if load.end == WorkloadEnd::Success && !status.success() {
        bail!(
            "`{}` ended with {status}: {}",
            load.command.join(" "),
            last_words(&load.name)
        );
    }
    Ok(())
}

/// Ends the stage's programs so that their files are whole.
fn end_all(children: &mut Children) {
    for running in children.iter_mut().rev() {
        // A program that is gone already, or will not go, does not change what was observed.
        let _ = running.signal(Signal::SIGTERM);
        let _ = running.wait(Duration::from_secs(5));
    }
}

fn shell() -> Result<()> {
    Command::new("/bin/busybox")
        .args(["setsid", "-c", "/bin/busybox", "sh", "-i"])
        .env_clear()
        .envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("TERM", "linux"),
            ("PS1", "guest# "),
        ])
        .status()
        .context("starting the shell")?;
    Ok(())
}

fn workload(name: &str, command: &[String]) -> Workload {
    Workload {
        name: name.into(),
        command: command.to_vec(),
        directory: "/".into(),
        environment: Default::default(),
        namespace: None,
        cgroup: None,
        ready: None,
        stdout: None,
        end: WorkloadEnd::Success,
    }
}
