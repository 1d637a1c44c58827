//! Exit codes. They are documented in the README and never a count.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::{build::BuildError, out::Closed};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything asked for was done, everything judged passed.
    Passed,
    /// 1: something judged failed.
    Failed,
    /// 2: usage or configuration: nothing was run.
    Usage,
    /// 69: it could not run (EX_UNAVAILABLE of sysexits.h).
    CouldNotRun,
    /// 141: nobody read the results any more, as shells count it.
    Closed,
    /// 130: ended by Ctrl-C or SIGTERM, as shells count it.
    Interrupted,
    /// 255: a guest kernel broke that was not meant to.
    GuestPanic,
}

impl Exit {
    /// The code of the judge.
    pub fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Passed,
            1 => Self::Failed,
            255 => Self::GuestPanic,
            _ => Self::CouldNotRun,
        }
    }

    /// The exit of an error: configuration is the user's, everything else could not run.
    pub fn of(report: &miette::Report) -> Self {
        if report.is::<Closed>() {
            return Self::Closed;
        }
        let lab = report.downcast_ref::<vm::Error>();
        let build = report.downcast_ref::<BuildError>();
        let lab = lab.or(match build {
            Some(BuildError::Lab(error)) => Some(error),
            _ => None,
        });
        if let Some(error) = lab {
            return match error {
                vm::Error::Interrupted => Self::Interrupted,
                vm::Error::Config(_) | vm::Error::UnknownKernel { .. } | vm::Error::KernelTwice { .. } => {
                    Self::Usage
                }
                _ => Self::CouldNotRun,
            };
        }
        if build.is_some() {
            Self::CouldNotRun
        } else {
            Self::Usage
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Passed => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::CouldNotRun => 69,
            Exit::Interrupted => 130,
            Exit::Closed => 141,
            Exit::GuestPanic => 255,
        })
    }
}

/// Returns when the user or the system wants the program to end.
pub async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the default action ends the program, which is what was asked for.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
