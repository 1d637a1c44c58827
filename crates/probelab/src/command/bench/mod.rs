//! What the lab and the probes cost.

mod daemon;
mod hooks;
mod vm;

use miette::Result;

use crate::{cli::Bench, exit::Exit, open::Context};

/// Runs the command.
pub async fn run(context: &Context, command: &Bench) -> Result<Exit> {
    match command {
        Bench::Vm {
            kernel,
            boots,
            restores,
            json,
        } => vm::run(context, kernel, *boots, *restores, *json).await,
        Bench::Daemon {
            kernel,
            loader,
            no_host,
            json,
        } => daemon::run(context, kernel, *loader, !*no_host, *json).await,
        Bench::Hooks { kernel, loader, json } => hooks::run(context, kernel, *loader, *json).await,
    }
}
