//! From a process of the machine to PID 1 of fresh namespaces, over a tree in memory that goes with them.

use std::{
    fs::{self, File},
    io::{self, PipeWriter, Seek, SeekFrom},
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result, bail};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal},
        wait::{WaitStatus, waitpid},
    },
    unistd::{
        ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execv, fork, getpid, getppid,
        pivot_root,
    },
};

use super::{ground::Ground, mount_point};
use crate::{channel::Channel, machine, unpack};

const NONE: Option<&str> = None;
const INBOX: &str = "/lab/messages";

/// What a run is made of.
pub struct Ingredients<'a> {
    /// This program.
    pub program: &'a File,
    /// The root filesystem.
    pub archive: &'a File,
    /// The boot message.
    pub message: &'a [u8],
    /// Where the outcome goes.
    pub outbox: &'a File,
    /// What was prepared.
    pub ground: &'a Ground,
}

/// Starts a run; the first of its processes, whose end takes all others along. They speak on `console`.
pub fn start(ingredients: &Ingredients<'_>, console: PipeWriter) -> Result<Pid> {
    let visit = getpid();
    // SAFETY: the program is single-threaded; the child only goes on in this thread and never returns from here.
    match unsafe { fork() }.context("forking")? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => exit_with(outside(ingredients, console, visit)),
    }
}

/// Ends this process; what went wrong goes to the console.
fn exit_with(result: Result<()>) -> ! {
    let code = match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("guest: {error:#}");
            1
        }
    };
    std::process::exit(code)
}

/// The parent of PID 1, in its namespaces but for that of processes.
fn outside(ingredients: &Ingredients<'_>, console: PipeWriter, visit: Pid) -> Result<()> {
    take_over(ingredients.outbox, console)?;
    die_with(visit)?;
    enter_namespaces(ingredients.ground)?;
    // SAFETY: the program is single-threaded; the child only executes or exits.
    match unsafe { fork() }.context("forking PID 1 of the namespaces")? {
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => bail!("PID 1 of the namespaces ended with {other:?}"),
        },
        ForkResult::Child => {
            // Its parent has no number in the new namespace.
            let tied = prctl::set_pdeathsig(Signal::SIGKILL).map_err(Into::into);
            exit_with(
                tied.and_then(|()| become_guest(ingredients))
                    .map(|never| match never {}),
            )
        }
    }
}

/// Lets go of the line to the lab: the outcome goes to standard input, which nobody reads, and all words to the console.
fn take_over(outbox: &File, console: PipeWriter) -> Result<()> {
    dup2_stdin(outbox)?;
    dup2_stdout(&console)?;
    dup2_stderr(&console)?;
    Ok(SigSet::all().thread_unblock()?)
}

/// Whatever ends the visit, even SIGKILL, ends this process.
fn die_with(visit: Pid) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != visit {
        bail!("the visit is over");
    }
    Ok(())
}

fn enter_namespaces(ground: &Ground) -> Result<()> {
    if let Some(cgroup) = &ground.cgroup {
        cgroup.enter()?;
    }
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .context("entering fresh namespaces (it takes root with CAP_SYS_ADMIN)")?;
    if let Some(cgroup) = &ground.cgroup {
        cgroup.step_aside()?;
    }
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).context("making mounts private")
}

fn become_guest(ingredients: &Ingredients<'_>) -> Result<std::convert::Infallible> {
    let root = mount_point()?;
    mount(
        Some("lab"),
        root,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
    .context("mounting memory for the tree")?;
    fill(root, ingredients)?;
    change_root(root)?;
    machine::mount_around(Path::new("/old/dev"))?;
    umount2("/old", MntFlags::MNT_DETACH).context("leaving the old root")?;
    fs::remove_dir("/old").context("leaving the old root")?;
    hide_what_breaks_machines()?;
    let arguments = [c"/init", c"--visit-inside"];
    Ok(execv(arguments[0], &arguments)?)
}

/// The tree, the message and this program.
fn fill(root: &Path, ingredients: &Ingredients<'_>) -> Result<()> {
    unpack::unpack(&mut rewound(ingredients.archive)?, root).context("unpacking the root filesystem")?;
    let messages = root.join(INBOX.trim_start_matches('/'));
    fs::create_dir_all(&messages)?;
    fs::write(messages.join("inbox"), ingredients.message).context("writing the message")?;
    let init = root.join("init");
    let mut file = File::create(&init).context("copying the guest program")?;
    io::copy(&mut rewound(ingredients.program)?, &mut file).context("copying the guest program")?;
    Ok(fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?)
}

fn rewound(mut file: &File) -> Result<io::BufReader<&File>> {
    file.seek(SeekFrom::Start(0))?;
    Ok(io::BufReader::with_capacity(1 << 20, file))
}

fn change_root(root: &Path) -> Result<()> {
    chdir(root)?;
    fs::create_dir("old")?;
    pivot_root(".", "old").context("changing the root")?;
    Ok(chdir("/")?)
}

/// A scenario about a broken kernel must never break one that is in use.
fn hide_what_breaks_machines() -> Result<()> {
    let trigger = "/proc/sysrq-trigger";
    if !fs::exists(trigger)? {
        return Ok(());
    }
    mount(Some("/dev/null"), trigger, NONE, MsFlags::MS_BIND, NONE).context("hiding /proc/sysrq-trigger")
}

/// `--visit-inside`: PID 1 of the namespaces.
pub fn inside() -> Result<()> {
    let inbox = File::open(Path::new(INBOX).join("inbox")).context("opening the message")?;
    let outbox = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    crate::live(&mut Channel::Files { inbox, outbox })
}
