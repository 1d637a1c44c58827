//! A prompt in the guest: the console of a restored machine on this terminal.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
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
    let (mut from_guest, mut to_guest) = stream.into_split();
    let output = tokio::spawn(async move {
        let mut stdout = tokio::io::stdout();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from_guest.read(&mut buffer).await {
            if stdout.write_all(&buffer[..count]).await.is_err() || stdout.flush().await.is_err() {
                break;
            }
        }
    });
    let input = tokio::spawn(async move {
        let mut stdin = tokio::io::stdin();
        let mut buffer = [0; 256];
        while let Ok(count @ 1..) = stdin.read(&mut buffer).await {
            if to_guest.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
        // The end of the input ends the shell, as on any terminal.
        let _ = to_guest.write_all(b"\nexit\n").await;
        std::future::pending::<()>().await;
    });
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
    let _ = tokio::time::timeout(DRAIN, output).await;
    ended
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
