//! `probelab kernels`: what is pinned, fetched and whole.

use miette::{IntoDiagnostic, Result};
use serde::Serialize;
use vm::kernels::{self, Set};

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
    let rows = context
        .all_sources()?
        .into_iter()
        .map(|source| {
            // What a folder holds is known when it is read, which costs a second for a folder of many kernels.
            let sha256 = match source.offer.sha256.clone() {
                Some(sha256) => sha256,
                None => source.kernel(&context.progress)?.identity.sha256,
            };
            Ok(Row {
                name: source.offer.name,
                sets: source.offer.sets,
                package: source.offer.package,
                version: source.offer.version,
                sha256,
                stored: source.offer.stored,
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
    for source in context.sources(patterns, None)? {
        let name = &source.offer.name;
        match source.verify()? {
            Some(count) if source.offer.sha256.is_some() => {
                out!("{name:12} {count} files are what they were when fetched");
            }
            Some(count) => out!("{name:12} {count} files can be read; nothing pins them"),
            None => out!("{name:12} not fetched"),
        }
    }
    Ok(Exit::Passed)
}
