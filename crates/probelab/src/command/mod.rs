//! The commands: one module each.

mod bench;
mod bisect;
mod budget;
mod cache;
mod check;
mod doctor;
mod kernels;
mod list;
mod matrix;
mod mutants;
mod replay;
mod report;
mod rootfs;
mod run;
mod shell;
mod support;

use clap::CommandFactory;
use miette::Result;
use tokio_util::sync::CancellationToken;
use vm::IoContext;

use crate::{
    cli::{Bench, Cli, Command},
    exit::Exit,
    open::Context,
    out::text,
};

/// Runs what was asked for.
pub async fn run(cli: Cli, cancel: CancellationToken) -> Result<Exit> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "probelab", &mut script);
        text(&String::from_utf8_lossy(&script))?;
        return Ok(Exit::Passed);
    }
    if let Command::Man { folder } = cli.command {
        let write = || {
            std::fs::create_dir_all(&folder)?;
            clap_mangen::generate_to(Cli::command(), &folder)
        };
        write().at("writing man pages into", &folder)?;
        return Ok(Exit::Passed);
    }
    let context = Context::open(&cli.common, cancel)?;
    match cli.command {
        Command::Run(arguments) => run::run(&context, &arguments).await,
        Command::Bisect(arguments) => bisect::run(&context, &arguments).await,
        Command::Matrix(arguments) => matrix::run(&context, &arguments).await,
        Command::Report(arguments) => report::run(&context, &arguments).await,
        Command::Support(arguments) => support::run(&context, &arguments).await,
        Command::Check(arguments) => check::run(&context, &arguments).await,
        Command::List { json } => list::run(&context, json),
        Command::Mutants(arguments) => mutants::run(&context, &arguments).await,
        Command::Doctor { recheck, json } => doctor::run(&context, recheck, json).await,
        Command::Shell { kernel, own } => shell::run(&context, &kernel, &own).await,
        Command::Replay { record } => replay::run(&context, &record).await,
        Command::Budget(arguments) => budget::run(&context, &arguments).await,
        Command::Bench { command, hooks } => {
            bench::run(&context, &command.unwrap_or(Bench::Hooks(hooks))).await
        }
        Command::Kernels(command) => kernels::run(&context, command).await,
        Command::Rootfs(command) => rootfs::run(&context, command).await,
        Command::Cache(command) => cache::run(&context, &command),
        Command::Completions { .. } | Command::Man { .. } => Ok(Exit::Passed),
    }
}
