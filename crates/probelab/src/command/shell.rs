//! `probelab shell`: a prompt in a guest.

use std::time::Duration;

use miette::Result;
use vm::run::Request;
use wire::{Job, Lane, Stage};

use crate::{cli::OwnKernel, exit::Exit, open::Context, show::DONE};

/// Runs the command.
pub async fn run(context: &Context, kernel: &str, own: &OwnKernel) -> Result<Exit> {
    let lab = context.lab(Lane::Virtual).await?;
    let sources = context.sources(&[kernel.to_owned()], Some(own))?;
    let source = sources
        .first()
        .ok_or_else(|| miette::miette!("no kernel was chosen"))?;
    let kernel = context.fetch(source).await?;
    let request = Request {
        scenario: "shell".into(),
        lane: Lane::Virtual,
        stage: Stage::default(),
        stage_blobs: Vec::new(),
        job: Job {
            scenario: "shell".into(),
            cpus: 2,
            shell: true,
            ..Job::default()
        },
        job_blobs: Vec::new(),
        wall_deadline: Duration::MAX,
    };
    context.progress.step(&kernel.label(), DONE);
    vm::shell::run(&lab, &kernel, &request).await?;
    Ok(Exit::Passed)
}
