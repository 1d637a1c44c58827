//! `probelab`, the lab's command line: the only crate that knows all the others.
//!
//! `main` maps errors to exit codes; the commands do the work.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "`out` knows what to do when nobody reads"
)]

mod build;
mod cells;
mod check;
mod cli;
mod command;
mod consent;
mod exit;
mod files;
mod lists;
mod mutants;
mod open;
mod oracle_tools;
mod out;
mod pairs;
mod plan;
mod render;
mod search;
mod show;
mod stored;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::{cli::Cli, exit::Exit, out::err};

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("PROBELAB_LOG"))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .log_internal_errors(false)
        .init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            err!("probelab: no runtime: {error}");
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
            match exit {
                Exit::Interrupted => err!("probelab: interrupted; nothing half-made was kept"),
                Exit::Closed => {}
                _ => err!("{report:?}"),
            }
            exit.into()
        }
    }
}
