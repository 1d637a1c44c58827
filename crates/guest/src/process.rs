//! Starting, watching and ending the programs of a stage or job.

use std::{
    fs::{self, File},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use wire::Workload;

/// Where the programs' own words go when a workload names no file for them.
pub const LOGS: &str = "/run/lab/log";
/// How often a waiting guest looks again. Guest time: free while nothing else runs.
pub const POLL: Duration = Duration::from_millis(5);

/// The programs that were started and not yet waited for.
pub type Children = Vec<Running>;

/// A started program.
pub struct Running {
    /// Its name in messages.
    pub name: String,
    /// Its process.
    pub child: Child,
}

impl Running {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)
            .with_context(|| format!("signalling {}", self.name))
    }

    /// Whether it ended, and how.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("looking after {}", self.name))
    }

    /// Waits for its end, `patience` of guest time at most.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if waited >= patience {
                bail!("{} did not end within {} s", self.name, patience.as_secs());
            }
            std::thread::sleep(POLL);
            waited += POLL;
        }
    }
}

/// Starts a program with its output in files.
pub fn start(workload: &Workload) -> Result<Running> {
    let [program, arguments @ ..] = workload.command.as_slice() else {
        bail!("`{}` has no command", workload.name);
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(base_environment())
        .envs(&workload.environment);
    if !workload.directory.is_empty() {
        fs::create_dir_all(&workload.directory)?;
        command.current_dir(&workload.directory);
    }
    let log = log_path(&workload.name);
    let stdout = workload
        .stdout
        .as_ref()
        .map_or_else(|| log.clone(), PathBuf::from);
    command
        .stdin(Stdio::null())
        .stdout(create(&stdout)?)
        .stderr(if stdout == log {
            Stdio::from(File::options().append(true).open(&log)?)
        } else {
            Stdio::from(create(&log)?)
        });
    place(&mut command, workload)?;
    let child = command
        .spawn()
        .with_context(|| format!("starting `{}`", workload.command.join(" ")))?;
    Ok(Running {
        name: workload.name.clone(),
        child,
    })
}

/// Puts the future process into its namespace and control group.
fn place(command: &mut Command, workload: &Workload) -> Result<()> {
    let namespace = match &workload.namespace {
        Some(name) => Some(File::open(format!("/run/netns/{name}")).with_context(|| {
            format!(
                "`{}` wants the namespace {name}, which no link creates",
                workload.name
            )
        })?),
        None => None,
    };
    let procs = match &workload.cgroup {
        Some(name) => Some(
            File::options()
                .write(true)
                .open(format!("/sys/fs/cgroup/{name}/cgroup.procs"))
                .with_context(|| format!("`{}` wants the control group {name}", workload.name))?,
        ),
        None => None,
    };
    if namespace.is_none() && procs.is_none() {
        return Ok(());
    }
    // SAFETY: between fork and exec only setns(2) and write(2) are called, both async-signal-safe, on files
    // that the closure owns; nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            if let Some(file) = &namespace {
                setns(file, CloneFlags::CLONE_NEWNET)?;
            }
            if let Some(file) = &procs {
                nix::unistd::write(file, b"0")?;
                let _ = file.as_raw_fd();
            }
            Ok(())
        });
    }
    Ok(())
}

/// The few variables that every program gets; nothing of the outside comes in.
fn base_environment() -> [(&'static str, &'static str); 6] {
    [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("HOME", "/root"),
        ("LANG", "C.UTF-8"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONUNBUFFERED", "1"),
    ]
}

fn create(path: &PathBuf) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(path).with_context(|| format!("creating {}", path.display()))
}

/// Where a program's words are.
pub fn log_path(name: &str) -> PathBuf {
    PathBuf::from(LOGS).join(format!("{name}.log"))
}

/// The last words of a program, for a message.
pub fn last_words(name: &str) -> String {
    let text = fs::read(log_path(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().rev().take(8).collect();
    if lines.is_empty() {
        return String::from("it said nothing");
    }
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
