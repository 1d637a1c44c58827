//! PID 1 in the VM: mounts, sets the stage, stops for the checkpoint, runs the job, writes the outcome and
//! powers off. On a kernel that already runs, the same program does the same as PID 1 of fresh namespaces (`visit`).
//!
//! It knows no probe and no scenario; it does what [`wire::Stage`] and [`wire::Job`] say, in order, in one
//! thread (a second one only watches the deadline), so that a run has one history.

mod channel;
mod get;
mod job;
mod machine;
mod modules;
mod network;
mod process;
mod random;
mod readiness;
mod stage;
mod step;
mod unpack;
mod visit;
mod watchdog;

use anyhow::{Context, Result, bail};
use wire::{Boot, GuestEnd, Job, Outcome, PROTOCOL, unpack};

use crate::{
    channel::Channel,
    step::{Failure, InStep},
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let result = match arguments.get(1).map(String::as_str) {
        Some("--visit") => visit::serve(&arguments[2..]),
        Some("--visit-inside") => visit::inside(),
        _ if std::process::id() == 1 => run_in_machine(),
        _ => Err(anyhow::anyhow!(
            "this program is PID 1 of Probelab's virtual machines; see `probelab run`"
        )),
    };
    if let Err(error) = result {
        eprintln!("guest: {error:#}");
        if std::process::id() == 1 {
            machine::power_off();
        }
        std::process::exit(1);
    }
}

fn run_in_machine() -> Result<()> {
    machine::mount_file_systems()?;
    machine::show_warnings()?;
    random::begin()?;
    let mut channel = Channel::shared_memory()?;
    live(&mut channel)?;
    machine::power_off()
}

/// The whole life of a guest on an open channel, in every lane.
fn live(channel: &mut Channel) -> Result<()> {
    let bytes = channel.receive()?;
    let (boot, blobs): (Boot, _) = unpack(&bytes).context("reading the boot message")?;
    if boot.protocol != PROTOCOL {
        bail!(
            "the host speaks protocol {}, this guest {PROTOCOL}: build both from one source",
            boot.protocol
        );
    }
    let staged = stage::set(&boot.stage, &blobs[..boot.first_job_blob.min(blobs.len())]);
    let mut children = match staged {
        Ok(children) => children,
        Err(failure) => return send(channel, Err(failure)),
    };
    if !boot.stop_for_checkpoint {
        let job = boot
            .job
            .context("the boot message has neither a job nor a checkpoint")?;
        return run_job(channel, &job, &blobs[boot.first_job_blob..], &mut children);
    }
    if let Err(failure) = machine::refuse_access_monitors().in_step("exactness") {
        return send(channel, Err(failure));
    }
    channel.clear()?;
    machine::stop_for_checkpoint(channel.stop_time()?)?;
    let bytes = channel.receive()?;
    let (job, blobs): (Job, _) = unpack(&bytes).context("reading the job")?;
    run_job(channel, &job, &blobs, &mut children)
}

fn run_job(
    channel: &mut Channel,
    job: &Job,
    blobs: &[&[u8]],
    children: &mut process::Children,
) -> Result<()> {
    let watchdog = watchdog::start(job.deadline_guest_seconds);
    let result = seed_random_numbers(channel, job)
        .in_step("job")
        .and_then(|()| job::run(job, blobs, children, &watchdog, &mut || channel.try_clone()));
    watchdog.done();
    send(channel, result)
}

/// The machine's random numbers are the run's own only in a VM: elsewhere others use them, too.
fn seed_random_numbers(channel: &Channel, job: &Job) -> Result<()> {
    match channel {
        Channel::Memory(_) => random::mix(job.seed),
        Channel::Files { .. } => Ok(()),
    }
}

/// The outcome of a job: what it collected, or why it failed.
type Collected = Vec<(String, Vec<u8>)>;

fn send(channel: &mut Channel, result: Result<Collected, Failure>) -> Result<()> {
    let (end, outputs) = match result {
        Ok(outputs) => (GuestEnd::Completed, outputs),
        Err(failure) => {
            println!("guest: {}", failure.end);
            (failure.end, failure.outputs)
        }
    };
    channel.send_outcome(end, &outputs)
}

/// The outcome message for an end and its outputs.
fn outcome(end: GuestEnd, outputs: &Collected) -> Outcome {
    Outcome {
        end,
        kernel_release: machine::kernel_release(),
        guest_end_ns: machine::guest_time_ns(),
        outputs: outputs.iter().map(|(name, _)| name.clone()).collect(),
    }
}
