//! A prompt in the guest: the console of a restored machine on this terminal.

use std::{io::IsTerminal, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Semaphore,
};
use wire::{Lane, pack};

use crate::{
    Error, IoContext, Result,
    checkpoint::{self, Ingredients},
    kernels::Kernel,
    machine::{Console, Machine, Memory},
    qemu::{Notice, Qemu},
    run::{Lab, Request},
};

/// The prompt of the guest's shell (crate `guest`, module `job`).
const PROMPT: &[u8] = b"guest# ";
/// How long the last words of a guest that ended may still be on their way.
const DRAIN: Duration = Duration::from_millis(200);

/// Connects standard input and output with a shell in the guest until it ends.
pub async fn run(lab: &Lab, kernel: &Kernel, request: &Request) -> Result<()> {
    let installed = lab.installed.as_ref().ok_or(Error::QemuMissing {
        program: "qemu-system-x86_64".into(),
        minimum: crate::machine::MINIMUM_QEMU,
    })?;
    let ingredients = Ingredients {
        installed,
        kernel,
        cpus: request.job.cpus,
        rootfs: &lab.rootfs,
        guest: &lab.guest,
        stage: &request.stage,
        blobs: &request.stage_blobs,
    };
    let checkpoint = checkpoint::get(&lab.cache, &ingredients, &lab.progress, &lab.cancel).await?;
    let folder = lab.cache.folder("run")?;
    let scratch = tempfile::Builder::new()
        .prefix(".shell-")
        .tempdir_in(&folder)
        .at("writing in", &folder)?;
    let socket = scratch.path().join("console.socket");
    let machine = Machine {
        lane: Lane::Virtual,
        cpus: request.job.cpus,
        kernel: kernel.image.clone(),
        initrd: None,
        memory: Memory::CopyOf(checkpoint.template),
        console: Console::Socket(socket.clone(), scratch.path().join("console")),
    };
    let mut qemu = Qemu::start(installed, &machine, scratch.path()).await?;
    qemu.load_state(&checkpoint.state).await?;
    let blobs: Vec<&[u8]> = request.job_blobs.iter().map(Vec::as_slice).collect();
    qemu.write_message(&pack(&request.job, &blobs)?)?;
    let stream = UnixStream::connect(&socket).await.at("connecting to", &socket)?;
    qemu.resume().await?;
    let terminal = RawTerminal::enter();
    let result = connect(&mut qemu, stream, lab).await;
    drop(terminal);
    qemu.kill().await;
    result
}

async fn connect(qemu: &mut Qemu, stream: UnixStream, lab: &Lab) -> Result<()> {
    let (from_guest, to_guest) = stream.into_split();
    let prompts = Arc::new(Semaphore::new(0));
    let output = tokio::spawn(show(from_guest, prompts.clone()));
    let input = if std::io::stdin().is_terminal() {
        tokio::spawn(type_keys(to_guest))
    } else {
        tokio::spawn(type_lines(to_guest, prompts))
    };
    let ended = loop {
        tokio::select! {
            notice = qemu.notice() => match notice {
                Notice::Shutdown { .. } | Notice::Gone => break Ok(()),
                Notice::StoppedItself => {}
            },
            () = lab.cancel.cancelled() => break Err(Error::Interrupted),
        }
    };
    input.abort();
    // Whatever it still had to say was said, or the terminal is gone.
    let _ = tokio::time::timeout(DRAIN, output).await;
    ended
}

/// Passes the guest's words on and counts its prompts.
async fn show(mut from_guest: OwnedReadHalf, prompts: Arc<Semaphore>) {
    let mut stdout = tokio::io::stdout();
    let mut buffer = [0; 4096];
    let mut line: Vec<u8> = Vec::new();
    while let Ok(count @ 1..) = from_guest.read(&mut buffer).await {
        for byte in &buffer[..count] {
            line.push(*byte);
            if line.ends_with(PROMPT) {
                prompts.add_permits(1);
                line.clear();
            } else if *byte == b'\n' {
                line.clear();
            }
        }
        if stdout.write_all(&buffer[..count]).await.is_err() || stdout.flush().await.is_err() {
            break;
        }
    }
}

/// Keys of a terminal go to the guest as they come.
async fn type_keys(mut to_guest: OwnedWriteHalf) {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = stdin.read(&mut buffer).await {
        if to_guest.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Lines of a file or pipe go to the guest one per prompt, because a shell that starts throws away what was typed
/// before; the end of the input ends the shell.
async fn type_lines(mut to_guest: OwnedWriteHalf, prompts: Arc<Semaphore>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let line = lines.next_line().await.ok().flatten();
        let Ok(permit) = prompts.acquire().await else {
            return;
        };
        permit.forget();
        let text = line.as_deref().unwrap_or("exit");
        if to_guest.write_all(format!("{text}\n").as_bytes()).await.is_err() || line.is_none() {
            return;
        }
    }
}

/// A terminal in raw mode; restored when dropped. Nothing when standard input is no terminal.
struct RawTerminal(Option<nix::sys::termios::Termios>);

impl RawTerminal {
    fn enter() -> Self {
        use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let Ok(saved) = tcgetattr(&stdin) else {
            return Self(None);
        };
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        match tcsetattr(&stdin, SetArg::TCSANOW, &raw) {
            Ok(()) => Self(Some(saved)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        if let Some(saved) = &self.0 {
            // Nothing more can be done about a terminal that went away.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, saved);
        }
    }
}
