//! `probelab`, the lab's command line: the only crate that knows all the others.
//!
//! `main` maps errors to exit codes; the commands do the work.

mod build;
mod cells;
mod cli;
mod command;
mod exit;
mod files;
mod open;
mod oracle_tools;
mod pairs;
mod show;

use std::process::ExitCode;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::{cli::Cli, exit::Exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("PROBELAB_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("probelab: no runtime: {error}");
            return Exit::CouldNotRun.into();
        }
    };
    let cancel = CancellationToken::new();
    let result = runtime.block_on(async {
        let token = cancel.clone();
        tokio::spawn(async move {
            exit::interrupted().await;
            token.cancel();
        });
        command::run(cli, cancel).await
    });
    // A blocked read of standard input must not keep a finished program alive.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(report) => {
            let exit = Exit::of(&report);
            if exit == Exit::Interrupted {
                eprintln!("probelab: interrupted; nothing half-made was kept");
            } else {
                eprintln!("{report:?}");
            }
            exit.into()
        }
    }
}
