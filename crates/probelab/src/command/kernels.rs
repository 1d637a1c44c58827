//! `probelab kernels`: what is pinned, fetched and whole.

use miette::{IntoDiagnostic, Result};
use serde::Serialize;
use vm::kernels::{self, Pin, Set, Source};

use crate::{
    cli::Kernels,
    exit::Exit,
    open::Context,
    out::{self, out},
};

#[derive(Serialize)]
struct Row {
    name: String,
    sets: Vec<Set>,
    package: String,
    version: String,
    sha256: String,
    stored: bool,
}

/// Runs the command.
pub async fn run(context: &Context, command: Kernels) -> Result<Exit> {
    match command {
        Kernels::List { json } => list(context, json),
        Kernels::Fetch { kernel } => {
            for source in context.sources(&kernel, None)? {
                let kernel = context.fetch(&source).await?;
                out!(
                    "{:12} {} {}",
                    kernel.label(),
                    kernel.identity.package,
                    kernel.identity.version
                );
            }
            Ok(Exit::Passed)
        }
        Kernels::Update { series } => update(context, series).await,
        Kernels::Verify { kernel } => verify(context, &kernel),
    }
}

fn list(context: &Context, json: bool) -> Result<Exit> {
    let rows = kernels::available(&context.lock()?)?
        .into_iter()
        .map(|source| {
            Ok(match source {
                Source::Pinned(pin) => Row {
                    stored: context.cache.folder("kernels")?.join(&pin.key()[..32]).exists(),
                    sha256: pin.key(),
                    name: pin.name,
                    sets: pin.sets,
                    package: pin.package,
                    version: pin.version,
                },
                Source::Ready(kernel) => Row {
                    name: kernel.identity.series,
                    sets: Vec::new(),
                    package: kernel.identity.package,
                    version: kernel.identity.version,
                    sha256: kernel.identity.sha256,
                    stored: true,
                },
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if json {
        out::json(&rows)?;
        return Ok(Exit::Passed);
    }
    for row in rows {
        let state = if row.stored { "stored" } else { "not fetched" };
        out!(
            "{:12} {:45} {:22} {} {state}",
            row.name,
            row.package,
            row.version,
            &row.sha256[..12]
        );
    }
    Ok(Exit::Passed)
}

async fn update(context: &Context, series: Vec<String>) -> Result<Exit> {
    let (this, wanted, old) = (context.clone(), context.wanted()?, context.lock()?);
    let before = old.clone();
    let updating = tokio::task::spawn_blocking(move || {
        kernels::update(
            &this.cache,
            this.common.mirror.as_deref(),
            &wanted,
            &old,
            &series,
            &this.progress,
        )
    });
    let lock = tokio::select! {
        lock = updating => lock.into_diagnostic()??,
        () = context.cancel.cancelled() => return Err(vm::Error::Interrupted.into()),
    };
    lock.write(&context.lock_path())?;
    for pin in &lock.kernels {
        let change = before.kernels.iter().find(|old| old.name == pin.name);
        let note = match change {
            Some(old) if old == pin => String::from("unchanged"),
            Some(old) => format!("was {}", old.version),
            None => String::from("new"),
        };
        out!("{:12} {} {} ({note})", pin.name, pin.package, pin.version);
    }
    Ok(Exit::Passed)
}

fn verify(context: &Context, patterns: &[String]) -> Result<Exit> {
    let pins: Vec<Pin> = context
        .sources(patterns, None)?
        .into_iter()
        .filter_map(|source| match source {
            Source::Pinned(pin) => Some(pin),
            Source::Ready(_) => None,
        })
        .collect();
    for pin in pins {
        match kernels::verify(&context.cache, &pin)? {
            Some(count) => out!("{:12} {} files are what they were when fetched", pin.name, count),
            None => out!("{:12} not fetched", pin.name),
        }
    }
    Ok(Exit::Passed)
}
