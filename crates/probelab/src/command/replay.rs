//! `probelab replay`: the run of a record once more, compared by digest.

use std::path::Path;

use miette::{Result, miette};
use wire::Record;

use crate::{
    build::Builder,
    cells::{Input, read_record, request},
    exit::Exit,
    open::{Context, PROBED_VARIABLE},
    out::out,
    show::DONE,
};

/// Runs the command.
pub async fn run(context: &Context, path: &Path) -> Result<Exit> {
    let old = read_record(path)?;
    if !old.lane.is_deterministic() {
        return Err(miette!(
            "this record is of the {} lane, whose runs are not repeatable",
            old.lane
        ));
    }
    let loaded = context.project.load(std::slice::from_ref(&old.scenario))?;
    let loaded = loaded
        .first()
        .ok_or_else(|| miette!("no scenario `{}`", old.scenario))?;
    let lab = context.lab(old.lane).await?;
    let sources = context.sources(std::slice::from_ref(&old.kernel.series), None)?;
    let source = sources
        .first()
        .ok_or_else(|| miette!("no kernel `{}`", old.kernel.series))?;
    let kernel = context.fetch(source).await?;
    let probed = context.project.program("probed", PROBED_VARIABLE).ok();
    let files = Builder::default().files(context, loaded).await?;
    let input = Input {
        seed: old.seed,
        lane: old.lane,
        loader: old.loader.unwrap_or_default(),
        probed: probed.as_deref(),
    };
    let request = request(loaded, &files, &input)?;
    let new = lab.run(&kernel, &request).await?;
    context.progress.step(&kernel.label(), DONE);
    out!("record  {}\nreplay  {}", old.digest, new.digest);
    if new.inputs_sha256 != old.inputs_sha256 {
        out!("{}", changed_inputs(&old, &new));
    }
    if old.digest == new.digest {
        out!("equal");
        return Ok(Exit::Passed);
    }
    out!("{}", first_difference(&old, &new));
    Ok(Exit::Failed)
}

/// Digests can only be expected to be equal when the inputs are.
fn changed_inputs(old: &Record, new: &Record) -> String {
    let mut changes = Vec::new();
    if old.qemu != new.qemu {
        changes.push(format!("QEMU ({} then, {} now)", old.qemu, new.qemu));
    }
    if old.kernel != new.kernel {
        changes.push(format!(
            "kernel ({} then, {} now)",
            old.kernel.version, new.kernel.version
        ));
    }
    if !old.rootfs_sha256.is_empty() && old.rootfs_sha256 != new.rootfs_sha256 {
        let short = |sha256: &str| sha256[..sha256.len().min(12)].to_owned();
        changes.push(format!(
            "root filesystem ({} then, {} now)",
            short(&old.rootfs_sha256),
            short(&new.rootfs_sha256)
        ));
    }
    if changes.is_empty() {
        changes.push("machine, firmware, guest program, scenario files or probed".into());
    }
    format!("the inputs are not those of the record: {}", changes.join(", "))
}

/// Where two records part ways.
fn first_difference(old: &Record, new: &Record) -> String {
    if old.end != new.end {
        return format!("the ends differ: {} then, {} now", old.end, new.end);
    }
    for (name, output) in &old.outputs {
        let Some(other) = new.outputs.get(name) else {
            return format!("output `{name}` is missing now");
        };
        if output != other {
            let (then, now) = (output.text(), other.text());
            let lines = then
                .lines()
                .zip(now.lines())
                .enumerate()
                .find(|(_, (then, now))| then != now);
            return match lines {
                Some((index, (then, now))) => {
                    format!(
                        "output `{name}` differs first in line {}:\n  then {then}\n  now  {now}",
                        index + 1
                    )
                }
                None => format!(
                    "output `{name}` is shorter or longer: {} bytes then, {} now",
                    then.len(),
                    now.len()
                ),
            };
        }
    }
    let lines = old
        .console
        .lines()
        .zip(new.console.lines())
        .find(|(then, now)| then != now);
    match lines {
        Some((then, now)) => format!("the consoles differ first here:\n  then {then}\n  now  {now}"),
        None => format!(
            "guest time at the end: {} ns then, {} ns now",
            old.guest_end_ns, new.guest_end_ns
        ),
    }
}
