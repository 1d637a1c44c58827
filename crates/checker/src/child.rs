//! A process of its own for each object: what takes it down takes nothing else.

use std::{
    io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe},
    panic::{AssertUnwindSafe, catch_unwind},
};

use anyhow::{Context, Result};
use nix::{
    sys::{
        signal::Signal,
        wait::{WaitStatus, waitpid},
    },
    unistd::{ForkResult, alarm, fork},
};
use wire::{Loader, ObjectFinding, Reason, Step, Trouble};

use crate::examine::{Bench, blank};

/// Time that a check of one object may take, in seconds of the machine's clock.
const PATIENCE_SECONDS: u32 = 60;

/// Examines an object in a child process.
pub fn examine(bench: &mut Bench, file_name: &str, bytes: &[u8], loader: Loader) -> Result<ObjectFinding> {
    let (reader, writer) = pipe().context("making a pipe")?;
    // SAFETY: this program has one thread, so the child has all of it.
    match unsafe { fork() }.context("starting a process")? {
        ForkResult::Child => {
            drop(reader);
            // Nothing of this process may be unwound into: it is a copy of the serving one.
            let work = AssertUnwindSafe(|| inside(bench, file_name, bytes, loader, writer));
            let ended_well = catch_unwind(work).is_ok_and(|result| result.is_ok());
            std::process::exit(i32::from(!ended_well))
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let last = last_word(reader);
            let status = waitpid(child, None).context("waiting for the checking process")?;
            let mut finding = last.unwrap_or_else(|| blank(file_name, loader));
            if let Some(trouble) = trouble(status) {
                mark(&mut finding, &trouble);
            }
            Ok(finding)
        }
    }
}

fn inside(
    bench: &mut Bench,
    file_name: &str,
    bytes: &[u8],
    loader: Loader,
    mut writer: PipeWriter,
) -> Result<()> {
    alarm::set(PATIENCE_SECONDS);
    let mut tell = |finding: &ObjectFinding| {
        if let Ok(mut line) = serde_json::to_vec(finding) {
            line.push(b'\n');
            // When nobody listens any more, there is nobody to tell.
            let _ = writer.write_all(&line);
        }
    };
    let finding = bench.examine(file_name, bytes, loader, &mut tell);
    match finding {
        Ok(finding) => {
            tell(&finding);
            Ok(())
        }
        Err(error) => {
            eprintln!("checker: {file_name}: {error:#}");
            Err(error)
        }
    }
}

/// The last whole line that the child wrote.
fn last_word(reader: PipeReader) -> Option<ObjectFinding> {
    BufReader::new(reader)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .last()
}

/// What an end that is not a good one means.
fn trouble(status: WaitStatus) -> Option<Trouble> {
    match status {
        WaitStatus::Exited(_, 0) => None,
        WaitStatus::Signaled(_, Signal::SIGALRM, _) => Some(Trouble::new(
            Reason::TimedOut,
            format!("not done after {PATIENCE_SECONDS} s"),
        )),
        WaitStatus::Signaled(_, signal, _) => Some(Trouble::new(
            Reason::Crashed,
            format!("the checking process was ended by {signal}"),
        )),
        WaitStatus::Exited(_, code) => Some(Trouble::new(
            Reason::Infra,
            format!("the checking process ended with {code}; its console says why"),
        )),
        other => Some(Trouble::new(Reason::Infra, format!("{other:?}"))),
    }
}

/// Puts the trouble where the check was when it ended.
fn mark(finding: &mut ObjectFinding, trouble: &Trouble) {
    let mut marked = finding.whole == Step::Pending;
    if marked {
        finding.whole = Step::Failed(trouble.clone());
    }
    for program in &mut finding.programs {
        let steps = [&mut program.load, &mut program.attach, &mut program.fire];
        if let Some(step) = steps.into_iter().find(|step| !step.is_done())
            && *step == Step::Pending
        {
            *step = Step::Failed(trouble.clone());
            marked = true;
        }
    }
    if !marked {
        finding.whole = Step::Failed(trouble.clone());
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::Pid;
    use wire::ProgramFinding;

    use super::*;

    #[test]
    fn a_crash_is_told_where_it_happened() {
        let trouble = trouble(WaitStatus::Signaled(Pid::from_raw(1), Signal::SIGSEGV, false)).unwrap();
        assert_eq!(trouble.reason, Reason::Crashed);
        let mut finding = blank("a.o", Loader::Aya);
        finding.whole = Step::Done;
        finding.programs = vec![
            ProgramFinding {
                load: Step::Done,
                attach: Step::Done,
                ..ProgramFinding::default()
            },
            ProgramFinding {
                load: Step::failed(Reason::VerifierRejection, "no"),
                ..ProgramFinding::default()
            },
        ];
        mark(&mut finding, &trouble);
        assert!(finding.whole.is_done());
        assert_eq!(finding.programs[0].fire, Step::Failed(trouble));
        assert_eq!(finding.programs[1].attach, Step::Pending);
    }

    #[test]
    fn a_crash_before_anything_is_the_object_s() {
        let mut finding = blank("a.o", Loader::Libbpf);
        mark(&mut finding, &Trouble::new(Reason::Crashed, "SIGSEGV"));
        assert_eq!(finding.whole, Step::failed(Reason::Crashed, "SIGSEGV"));
    }

    #[test]
    fn time_and_good_ends_are_told_apart() {
        let pid = Pid::from_raw(1);
        assert_eq!(trouble(WaitStatus::Exited(pid, 0)), None);
        let late = trouble(WaitStatus::Signaled(pid, Signal::SIGALRM, false)).unwrap();
        assert_eq!(late.reason, Reason::TimedOut);
    }
}
