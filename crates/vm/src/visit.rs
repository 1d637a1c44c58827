//! A visit: runs on a kernel that already runs, this machine's or another's through `ssh`.
//!
//! The guest program is started there once and serves runs one after the other; the root filesystem is sent once. It
//! leaves nothing behind when it is told to end, and when nobody is there any more.
//!
//! ```text
//! Visit ─ Line ─ threads ─ pipes ─ [ssh ─ sshd ─ sh ─ sudo ─] guest --visit ─ PID 1 of fresh namespaces
//! ```

mod line;
mod script;
mod ssh;
mod trouble;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use wire::{FrameKind, Greeting, GuestEnd, Outcome, PROTOCOL, RunEnd, unpack};

use crate::{Error, IoContext, Progress, Result};

use self::line::{Frame, Line};

pub use ssh::{Destination, DestinationError, SshOption};
pub use trouble::Trouble;

/// The far side ends and puts everything back within moments; after so long it is given up.
const FAREWELL: Duration = Duration::from_secs(20);
/// A connection and the first answer take no longer.
const OPENING: Duration = Duration::from_secs(180);

/// Which machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// This one.
    Here,
    /// One that `ssh` reaches.
    Ssh {
        /// What `ssh` takes as the destination.
        destination: Destination,
        /// Further options of `ssh`; they go before ours.
        options: Vec<SshOption>,
    },
}

impl Place {
    /// What the machine is called in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Here => String::from("this machine"),
            Self::Ssh { destination, .. } => destination.to_string(),
        }
    }

    /// What its kernel is called in records and their file names.
    pub fn kernel_name(&self) -> String {
        match self {
            Self::Here => String::from("host"),
            Self::Ssh { destination, .. } => format!("ssh-{}", destination.file_name()),
        }
    }
}

/// An open visit.
#[derive(Debug)]
pub struct Visit {
    name: String,
    progress: Progress,
    line: Mutex<Option<Line>>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Finished {
    /// The outcome.
    pub outcome: Outcome,
    /// The outputs' bytes.
    pub blobs: Vec<Vec<u8>>,
    /// What the guest program said.
    pub console: String,
}

impl Visit {
    /// Starts the guest program at a place and sends it the root filesystem. `scratch` is a folder for this visit.
    pub async fn open(
        place: &Place,
        guest: &Path,
        archive: &Path,
        scratch: tempfile::TempDir,
        progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let name = place.name();
        let mut line = match place {
            Place::Here => here(guest, scratch)?,
            Place::Ssh { destination, options } => {
                progress.step(&place.kernel_name(), format!("connecting to {name}"));
                over_ssh(destination, options, guest, scratch, cancel).await?
            }
        };
        let greeting = tokio::select! {
            greeting = greeting(&mut line) => greeting,
            () = tokio::time::sleep(OPENING) => Err(line.trouble(Trouble::NotStarted)),
            () = cancel.cancelled() => Err(Error::Interrupted),
        }?;
        if greeting.protocol != PROTOCOL {
            return Err(line.trouble(Trouble::Far {
                reason: format!("it speaks protocol {}, the lab {PROTOCOL}", greeting.protocol),
            }));
        }
        let release = &greeting.kernel_release;
        progress.step(
            &place.kernel_name(),
            format!("copying the root filesystem into the memory of {name}, kernel {release}"),
        );
        let visit = Self {
            name,
            progress: progress.clone(),
            line: Mutex::new(None),
        };
        match send_archive(&mut line, archive, cancel).await {
            Ok(()) => {
                *visit.line.lock().await = Some(line);
                Ok(visit)
            }
            Err(error) => {
                line.end(FAREWELL).await;
                Err(error)
            }
        }
    }

    /// Does a run. Only one at a time is under way.
    pub async fn run(
        &self,
        message: Vec<u8>,
        wall_deadline: Duration,
        cancel: &CancellationToken,
    ) -> Result<Finished> {
        let mut guard = self.line.lock().await;
        let line = guard.as_mut().ok_or_else(|| Error::Machine {
            machine: self.name.clone(),
            trouble: Trouble::Lost,
            words: "an earlier run lost it".into(),
        })?;
        let answer = tokio::select! {
            answer = answer(line, message, wall_deadline) => answer,
            () = cancel.cancelled() => Err(Error::Interrupted),
        };
        match answer {
            Ok(answer) => self.finished(&answer),
            Err(error) => {
                let broken = guard.take();
                drop(guard);
                if let Some(line) = broken {
                    line.end(FAREWELL).await;
                }
                Err(error)
            }
        }
    }

    fn finished(&self, answer: &Answer) -> Result<Finished> {
        let (ended, blobs): (RunEnd, _) = unpack(&answer.ended)?;
        for what in &ended.left {
            self.progress.notice(&self.name, format!("left behind: {what}"));
        }
        let console = String::from_utf8_lossy(&answer.console).replace('\r', "");
        let outcome = blobs.first().copied().unwrap_or_default();
        if let Ok((outcome, blobs)) = unpack::<Outcome>(outcome) {
            return Ok(Finished {
                outcome,
                blobs: blobs.into_iter().map(<[u8]>::to_vec).collect(),
                console,
            });
        }
        let end = match answer.stopped_after {
            Some(seconds) => GuestEnd::WallDeadline { seconds },
            None => GuestEnd::Silent {
                reason: format!("{}: {}", ended.status, console.trim()),
            },
        };
        Ok(Finished {
            outcome: Outcome {
                end,
                kernel_release: String::new(),
                guest_end_ns: 0,
                outputs: Vec::new(),
            },
            blobs: Vec::new(),
            console,
        })
    }

    /// Ends the visit; returns when the far side has put everything back.
    pub async fn close(&self) {
        let Some(line) = self.line.lock().await.take() else {
            return;
        };
        if !line.end(FAREWELL).await {
            self.progress.notice(
                &self.name,
                "the lab's program did not say goodbye; it ends by itself within a minute",
            );
        }
    }
}

/// What the far side said of a run.
struct Answer {
    ended: Vec<u8>,
    console: Vec<u8>,
    /// The deadline in seconds, when it had to be stopped.
    stopped_after: Option<u64>,
}

/// Sends a run and waits for its end, which the wall deadline brings about when it does not come by itself.
async fn answer(line: &mut Line, message: Vec<u8>, wall_deadline: Duration) -> Result<Answer> {
    line.send(FrameKind::Run, message)?;
    let mut answer = Answer {
        ended: Vec::new(),
        console: Vec::new(),
        stopped_after: None,
    };
    let deadline = tokio::time::sleep(wall_deadline);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            frame = line.receive() => match frame? {
                Frame { kind: FrameKind::Console, body } => answer.console.extend(body),
                Frame { kind: FrameKind::Ended, body } => {
                    answer.ended = body;
                    return Ok(answer);
                }
                frame => return Err(line.unexpected(&frame)),
            },
            () = &mut deadline => {
                if answer.stopped_after.is_some() {
                    return Err(line.trouble(Trouble::Lost));
                }
                line.send(FrameKind::Stop, Vec::new())?;
                answer.stopped_after = Some(wall_deadline.as_secs());
                deadline.as_mut().reset(tokio::time::Instant::now() + FAREWELL);
            }
        }
    }
}

/// Sends the root filesystem; runs start only when it is there, so that their deadlines do not depend on the connection.
async fn send_archive(line: &mut Line, archive: &Path, cancel: &CancellationToken) -> Result<()> {
    line.send_file(FrameKind::Archive, archive)?;
    let frame = tokio::select! {
        frame = line.receive() => frame?,
        () = cancel.cancelled() => return Err(Error::Interrupted),
    };
    match frame.kind {
        FrameKind::Kept => Ok(()),
        _ => Err(line.unexpected(&frame)),
    }
}

async fn greeting(line: &mut Line) -> Result<Greeting> {
    match line.receive().await? {
        Frame {
            kind: FrameKind::Ready,
            body,
        } => Ok(unpack(&body)?.0),
        frame => Err(line.unexpected(&frame)),
    }
}

fn here(guest: &Path, scratch: tempfile::TempDir) -> Result<Line> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::Machine {
            machine: Place::Here.name(),
            trouble: Trouble::NotRoot,
            words: "the virtual lane (the default) needs no root".into(),
        });
    }
    let mut command = Command::new(guest);
    command.arg("--visit");
    let started = line::spawn(command, &Place::Here.name(), scratch).at("starting", guest)?;
    Ok(started.into_line())
}

async fn over_ssh(
    destination: &Destination,
    options: &[SshOption],
    guest: &Path,
    scratch: tempfile::TempDir,
    cancel: &CancellationToken,
) -> Result<Line> {
    let program = std::fs::read(guest).at("reading", guest)?;
    let mut command = Command::new("ssh");
    command
        .args(ssh::arguments(destination, options))
        .stdin(Stdio::piped());
    let name = destination.to_string();
    let started = line::spawn(command, &name, scratch).map_err(|error| Error::Machine {
        machine: name.clone(),
        trouble: Trouble::NoSsh,
        words: error.to_string(),
    })?;
    let process = started.process();
    let entering = tokio::task::spawn_blocking(move || script::enter(started, &program));
    tokio::pin!(entering);
    let entered = tokio::select! {
        entered = &mut entering => Some(entered),
        () = tokio::time::sleep(OPENING) => None,
        () = cancel.cancelled() => None,
    };
    let Some(entered) = entered else {
        // Its end ends the reading thread, too.
        line::kill(process);
        let _ = entering.await;
        return Err(match cancel.is_cancelled() {
            true => Error::Interrupted,
            false => Error::Machine {
                machine: name,
                trouble: Trouble::NotStarted,
                words: format!("nothing within {} s", OPENING.as_secs()),
            },
        });
    };
    // The closure does not panic by itself and is never aborted.
    entered
        .map_err(std::io::Error::other)
        .during(|| "connecting".into())?
}
