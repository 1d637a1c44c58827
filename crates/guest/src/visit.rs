//! A visit: runs on a kernel that already runs and that others use, too. Real time; nothing here is deterministic.
//!
//! The program talks with the lab in frames over standard input and output. It keeps the root filesystem's archive in
//! memory and runs what it is sent, one run at a time, each as PID 1 of fresh namespaces over a tree in memory. It
//! leaves nothing behind: what a run changes outside its namespaces is put back, and when the lab goes away (the end
//! of the input, a signal, silence) so does everything that was started.

mod cgroup;
mod ground;
mod line;
mod namespaces;

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::{
        memfd::{MFdFlags, memfd_create},
        prctl,
        signal::{Signal, kill},
        stat::{Mode, umask},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};
use wire::{FrameKind, Greeting, PROTOCOL, RunEnd, pack};

use crate::{machine, outcome};

use self::{
    ground::Ground,
    line::{Gone, Line},
    namespaces::Ingredients,
};

pub use namespaces::inside;

/// How much of a console goes into one frame.
const CONSOLE_BYTES: usize = 64 << 10;

/// `--visit [FOLDER]`: serves the lab until it goes away. FOLDER holds this program and is deleted at once.
pub fn serve(arguments: &[String]) -> Result<()> {
    if let [folder] = arguments {
        fs::remove_dir_all(folder).with_context(|| format!("deleting {folder}"))?;
    }
    umask(Mode::from_bits_truncate(0o022));
    prctl::set_child_subreaper(true)?;
    let mut line = Line::open()?;
    match serve_runs(&mut line) {
        Err(error) if error.is::<Gone>() => Ok(()),
        Err(error) => {
            // Who has gone away does not want to know.
            let _ = line.send(FrameKind::Failed, format!("{error:#}").as_bytes());
            Err(error)
        }
        Ok(()) => Ok(()),
    }
}

fn serve_runs(line: &mut Line) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("it needs root");
    }
    // The file itself is deleted: only this process still finds it.
    let program = File::open("/proc/self/exe").context("opening this program")?;
    line.send(FrameKind::Ready, &pack(&greeting(), &[])?)?;
    let mut archive = None;
    loop {
        let header = line.header()?;
        match header.kind {
            FrameKind::Archive => {
                archive = Some(keep(line, header.length)?);
                line.send(FrameKind::Kept, &[])?;
            }
            FrameKind::Run => {
                let message = line.body(header.length)?;
                let archive = archive
                    .as_ref()
                    .context("a run came before the root filesystem")?;
                run(line, &program, archive, &message)?;
            }
            // The run that should stop is over already.
            FrameKind::Alive | FrameKind::Stop => {}
            other => bail!("the lab sent an unexpected frame: {other:?}"),
        }
    }
}

fn greeting() -> Greeting {
    Greeting {
        protocol: PROTOCOL,
        kernel_release: machine::kernel_release(),
    }
}

/// Reads the archive into memory that goes with this process.
fn keep(line: &mut Line, length: u64) -> Result<File> {
    let mut file = memory("archive")?;
    let copied = std::io::copy(&mut line.take(length), &mut file).map_err(Gone::or_error)?;
    if copied != length {
        return Err(Gone::Closed.into());
    }
    Ok(file)
}

fn memory(name: &str) -> Result<File> {
    let file = memfd_create(name, MFdFlags::MFD_CLOEXEC).context("asking for memory")?;
    Ok(file.into())
}

/// One run: prepared, done, put back, reported.
fn run(line: &mut Line, program: &File, archive: &File, message: &[u8]) -> Result<()> {
    let (ground, message) = match Ground::prepare(message)? {
        Ok(prepared) => prepared,
        Err(failure) => {
            let outcome = outcome(failure.end, &failure.outputs);
            return report(line, "refused".into(), Vec::new(), &pack(&outcome, &[])?);
        }
    };
    let mut outbox = memory("outcome")?;
    let ingredients = Ingredients {
        program,
        archive,
        message: &message,
        outbox: &outbox,
        ground: &ground,
    };
    let ended = supervise(line, &ingredients);
    let left = ground.put_back();
    for what in &left {
        eprintln!("guest: left behind: {what}");
    }
    let status = ended?;
    let mut outcome = Vec::new();
    outbox.seek(SeekFrom::Start(0))?;
    outbox.read_to_end(&mut outcome)?;
    report(line, status, left, &outcome)
}

fn report(line: &mut Line, status: String, left: Vec<String>, outcome: &[u8]) -> Result<()> {
    let bytes = pack(&RunEnd { status, left }, &[outcome])?;
    Ok(line.send(FrameKind::Ended, &bytes)?)
}

/// Starts the run's processes and passes their words on until the last of them is gone, which the pipe shows: nobody
/// else holds its other end.
fn supervise(line: &mut Line, ingredients: &Ingredients<'_>) -> Result<String> {
    let (mut console, theirs) = std::io::pipe().context("making a pipe")?;
    let first = namespaces::start(ingredients, theirs)?;
    let mut buffer = vec![0; CONSOLE_BYTES];
    let ended = loop {
        match line.input_or(&console) {
            Ok(line::Event::Input) => match end_of_run(line) {
                Ok(false) => {}
                Ok(true) => break Ok(Some("stopped")),
                Err(error) => break Err(error),
            },
            Ok(line::Event::Other) => match console.read(&mut buffer) {
                Ok(0) => break Ok(None),
                Ok(count) => {
                    if let Err(gone) = line.send(FrameKind::Console, &buffer[..count]) {
                        break Err(gone.into());
                    }
                }
                Err(error) => break Err(error.into()),
            },
            Err(gone) => break Err(gone.into()),
        }
    };
    let status = end_all(first);
    Ok(ended?.map_or(status, str::to_owned))
}

/// Reads a frame that came during a run: whether it ends it.
fn end_of_run(line: &mut Line) -> Result<bool> {
    match line.header()?.kind {
        FrameKind::Stop => Ok(true),
        FrameKind::Alive => Ok(false),
        other => bail!("the lab sent an unexpected frame during a run: {other:?}"),
    }
}

/// Kills what there still is of a run and waits for its end: PID 1 of the namespaces takes all others along, and comes
/// to this process when its parent went first.
fn end_all(first: Pid) -> String {
    // It may be gone already.
    let _ = kill(first, Signal::SIGKILL);
    let mut status = String::from("it ended");
    while let Ok(ended) = waitpid(None::<Pid>, None) {
        if ended.pid() == Some(first) {
            status = match ended {
                WaitStatus::Exited(_, code) => format!("it ended with exit status {code}"),
                WaitStatus::Signaled(_, signal, _) => format!("it was ended by {signal}"),
                other => format!("it ended: {other:?}"),
            };
        }
    }
    status
}

/// The first of some folders that is one: over it, in its own view of the machine, a run mounts its memory.
fn mount_point() -> Result<&'static Path> {
    let places = ["/tmp", "/run", "/mnt", "/dev/shm"].map(Path::new);
    let found = places.into_iter().find(|place| place.is_dir());
    found.context("there is no folder to mount on: neither /tmp nor /run")
}
