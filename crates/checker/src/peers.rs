//! Ready-made tools with objects inside: which of them start here, and what those say that do not.
//!
//! A tool has started when it still runs after a while in which the stimulus was played, or when it has ended well.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use wire::{Loader, ObjectFinding, Reason, Step, check_stage::PEERS};

use crate::{examine::blank, props::Props, reason, stimulus};

/// Time that a tool has to load its programs and to fail at it. Guest time: an idle guest skips it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time that it has to end.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// What tools need that do nothing without arguments.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("cpudist", &["1", "1"]),
    ("fsdist", &["-t", "ext4"]),
    ("fsslower", &["-t", "ext4"]),
    ("funclatency", &["do_nanosleep"]),
    ("futexctn", &["1", "1"]),
    ("ksnoop", &["trace", "do_nanosleep"]),
    ("offcputime", &["1"]),
    ("profile", &["1"]),
    ("wakeuptime", &["1"]),
];

/// Tools that look into a program which the guest does not have.
const STRANGERS: &[(&str, &str)] = &[("bashreadline", "bash"), ("javagc", "a Java virtual machine")];

/// Tries every tool that is there. libbpf is in all of them.
pub fn try_all(out: &Path) -> Result<()> {
    // A limit that cannot be lifted is told by the tools that need more.
    let _ = probe::memlock::raise();
    let props = Props::collect()?;
    let mut findings = wire::Findings { objects: Vec::new() };
    for tool in tools()? {
        findings.objects.push(try_one(&tool, &props)?);
    }
    anyhow::ensure!(
        !findings.objects.is_empty(),
        "there is no tool in {}",
        PEERS.folder
    );
    fs::write(out, serde_json::to_vec(&findings)?).with_context(|| format!("writing {}", out.display()))
}

fn tools() -> Result<Vec<PathBuf>> {
    let is_tool = |path: &PathBuf| path.to_string_lossy().ends_with(PEERS.ending);
    let mut tools: Vec<PathBuf> = fs::read_dir(PEERS.folder)
        .with_context(|| format!("listing {}", PEERS.folder))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_tool)
        .collect();
    tools.sort();
    Ok(tools)
}

fn try_one(tool: &Path, props: &Props) -> Result<ObjectFinding> {
    let file = tool
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let name = file.trim_end_matches(PEERS.ending);
    let mut finding = blank(name, Loader::Libbpf);
    if let Some((_, program)) = STRANGERS.iter().find(|(tool, _)| *tool == name) {
        let words = format!("it looks into {program}, which the guest does not have");
        finding.whole = Step::not_tried(Reason::NeedsTarget, words);
        return Ok(finding);
    }
    let arguments = ARGUMENTS
        .iter()
        .find(|(tool, _)| *tool == name)
        .map_or(&[][..], |(_, arguments)| arguments);
    let said = PathBuf::from("/run/peer.words");
    let mut child = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said)?)
        .spawn()
        .with_context(|| format!("starting {}", tool.display()))?;
    stimulus::all(props);
    std::thread::sleep(PATIENCE);
    stimulus::all(props);
    let ended = child.try_wait()?;
    end(&mut child)?;
    let mut words = String::new();
    File::open(&said)?
        .take(64 << 10)
        .read_to_string(&mut words)
        .unwrap_or_default();
    finding.whole = step(ended, &words);
    Ok(finding)
}

/// Ends it as its user would, and otherwise for good.
fn end(child: &mut Child) -> Result<()> {
    // One that has gone already cannot be signalled.
    let _ = kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT);
    std::thread::sleep(END_PATIENCE);
    if child.try_wait()?.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn step(ended: Option<ExitStatus>, words: &str) -> Step {
    match ended {
        None => Step::Done,
        Some(status) if status.success() => Step::Done,
        Some(status) => {
            let line = reason::one_line(words);
            let line = if line.is_empty() {
                "it said nothing".to_owned()
            } else {
                line
            };
            let log = last_log(words);
            let reason = match reason::of_load(words, log) {
                Reason::LoadRefused => reason::of_attach(words),
                found => found,
            };
            let reason = match reason {
                Reason::AttachRefused => Reason::LoadRefused,
                found => found,
            };
            Step::failed(reason, format!("{status}: {line}"))
        }
    }
}

/// The verifier's log, which libbpf prints among its own words; nothing when the tool went on and failed to attach.
fn last_log(words: &str) -> &str {
    match words.rsplit_once("BEGIN PROG LOAD LOG") {
        Some((_, log)) if !log.contains("attach") => log,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_tool_that_runs_or_ended_well_has_started() {
        assert!(step(None, "libbpf: a warning").is_done());
        assert!(step(Some(ExitStatus::from_raw(0)), "").is_done());
    }

    #[test]
    fn a_tool_that_failed_says_why() {
        let failed = |words| step(Some(ExitStatus::from_raw(256)), words);
        let missing = failed("libbpf: prog 'f': failed to find kernel BTF type ID of 'gone': -3\n");
        assert_eq!(missing.trouble().unwrap().reason, Reason::MissingHook);
        assert_eq!(
            missing.trouble().unwrap().words,
            "exit status: 1: prog 'f': failed to find kernel BTF type ID of 'gone': -3"
        );
        let without_function =
            failed("prog 'f': failed to create kprobe 'gone+0x0' perf event: No such file or directory\n");
        assert_eq!(without_function.trouble().unwrap().reason, Reason::MissingHook);
        let refused = failed("libbpf: -- BEGIN PROG LOAD LOG --\nBPF_STX uses reserved fields\n");
        assert_eq!(refused.trouble().unwrap().reason, Reason::VerifierRejection);
        let went_on = failed(
            "libbpf: -- BEGIN PROG LOAD LOG --\nno\n-- END PROG LOAD LOG --\nfailed to attach: No such file or directory\n",
        );
        assert_eq!(went_on.trouble().unwrap().reason, Reason::MissingHook);
        assert_eq!(failed("").trouble().unwrap().reason, Reason::LoadRefused);
    }
}
