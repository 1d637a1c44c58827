//! The host lane: the same life, on the kernel that is already running, as PID 1 of fresh namespaces.
//!
//! The root filesystem of the VM becomes the lower layer of an overlay whose upper layer is memory, so a run
//! leaves nothing behind. Real time, this machine's kernel: nothing here is deterministic.

use std::{ffi::CString, fs, path::Path};

use anyhow::{Context, Result, bail};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, chdir, execv, fork, pivot_root},
};

use crate::channel::Channel;

const NONE: Option<&str> = None;

/// `--host-lane ROOT WORK INBOX OUTBOX`: enters namespaces over the tree ROOT and lives there. WORK is an
/// empty folder for the overlay.
pub fn enter(arguments: &[String]) -> Result<()> {
    match arguments {
        [root, work, inbox, outbox] => outside(Path::new(root), Path::new(work), inbox, outbox),
        [stage] if stage == "inside" => inside(),
        _ => bail!("usage: --host-lane ROOT WORK INBOX OUTBOX"),
    }
}

fn outside(root: &Path, work: &Path, inbox: &str, outbox: &str) -> Result<()> {
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC,
    )
    .context("entering fresh namespaces: the host lane needs root (CAP_SYS_ADMIN)")?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).context("making mounts private")?;
    let new_root = build_root(root, work, inbox, outbox)?;
    // SAFETY: the program is single-threaded here; the child only executes or exits.
    match unsafe { fork() }.context("forking PID 1 of the namespaces")? {
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => bail!("the guest ended with {other:?}"),
        },
        ForkResult::Child => {
            let error = become_guest(&new_root).expect_err("exec does not return on success");
            eprintln!("guest: {error:#}");
            std::process::exit(1)
        }
    }
}

/// An overlay over the tree, with the message files inside.
fn build_root(root: &Path, work: &Path, inbox: &str, outbox: &str) -> Result<std::path::PathBuf> {
    mount(Some("lab"), work, Some("tmpfs"), MsFlags::empty(), NONE)
        .context("mounting memory for the overlay")?;
    let (upper, scratch, new_root) = (work.join("upper"), work.join("work"), work.join("root"));
    for folder in [&upper, &scratch, &new_root] {
        fs::create_dir(folder)?;
    }
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        root.display(),
        upper.display(),
        scratch.display()
    );
    mount(
        Some("overlay"),
        &new_root,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .context("mounting the overlay")?;
    let messages = new_root.join("lab/messages");
    fs::create_dir_all(&messages)?;
    fs::copy(inbox, messages.join("inbox")).context("copying the message in")?;
    let target = messages.join("outbox");
    fs::write(&target, b"")?;
    mount(Some(outbox), &target, NONE, MsFlags::MS_BIND, NONE).context("binding the outbox")?;
    fs::copy("/proc/self/exe", new_root.join("init")).context("copying the guest program in")?;
    Ok(new_root)
}

fn become_guest(new_root: &Path) -> Result<std::convert::Infallible> {
    chdir(new_root)?;
    fs::create_dir_all("old")?;
    pivot_root(".", "old").context("changing the root")?;
    chdir("/")?;
    // The old proc is still needed by nothing here; the devices are bound before the old tree goes.
    fs::create_dir_all("/dev")?;
    mount(
        Some("/old/dev"),
        "/dev",
        NONE,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        NONE,
    )
    .context("binding /dev")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), NONE).context("mounting /proc")?;
    mount(Some("sys"), "/sys", Some("sysfs"), MsFlags::empty(), NONE).context("mounting /sys")?;
    for target in ["/run", "/tmp"] {
        mount(Some("tmp"), target, Some("tmpfs"), MsFlags::empty(), NONE)?;
    }
    umount2("/old", MntFlags::MNT_DETACH).context("leaving the old root")?;
    let program = CString::new("/init")?;
    let arguments = [
        program.clone(),
        CString::new("--host-lane")?,
        CString::new("inside")?,
    ];
    Ok(execv(&program, &arguments)?)
}

fn inside() -> Result<()> {
    let mut channel = Channel::files(
        Path::new("/lab/messages/inbox"),
        Path::new("/lab/messages/outbox"),
    )?;
    crate::live(&mut channel)
}
