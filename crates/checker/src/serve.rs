//! The serving process: ready before the checkpoint, asked after it.
//!
//! Reading the kernel's types and calibrating take longer than checking an object does, and are the same for all of
//! them. A process that has done both is therefore part of the checkpoint, and waits on a socket for its work.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
};

use anyhow::{Context, Result};
use libbpf_rs::{TC_EGRESS, TC_INGRESS, TcHookBuilder};
use nix::{
    mount::{MsFlags, mount},
    net::if_::if_nametoindex,
};
use serde::{Deserialize, Serialize};
use wire::{Findings, Loader, check_stage::INTERFACE};

use crate::{by_aya, calibrate, child, examine::Bench};

/// What is asked of the serving process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// Loaders: each object is checked with each.
    pub loaders: Vec<Loader>,
    /// Files to check.
    pub objects: Vec<String>,
    /// Where to write the [`Findings`].
    pub out: String,
}

/// Prepares, then serves for ever.
pub fn serve(socket: &Path) -> Result<()> {
    prepare_kernel()?;
    let mut bench = Bench {
        aya: by_aya::Prepared::new(),
        calibration: Default::default(),
    };
    bench.calibration = calibrate::calibrate(&mut bench).context("calibrating")?;
    clear_interface();
    let listener =
        UnixListener::bind(socket).with_context(|| format!("listening at {}", socket.display()))?;
    for stream in listener.incoming() {
        let mut stream = stream.context("accepting")?;
        let answer = match answer(&mut bench, &stream) {
            Ok(()) => String::new(),
            Err(error) => format!("{error:#}"),
        };
        // Who has gone away does not want the answer.
        let _ = stream.write_all(answer.as_bytes());
    }
    Ok(())
}

/// Asks the serving process, and waits for the end of its work.
pub fn ask(socket: &Path, request: &Request) -> Result<()> {
    let mut stream = UnixStream::connect(socket).with_context(|| format!("asking {}", socket.display()))?;
    serde_json::to_writer(&mut stream, request)?;
    stream.write_all(b"\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    anyhow::ensure!(answer.is_empty(), "{answer}");
    anyhow::ensure!(
        Path::new(&request.out).exists(),
        "the checker went away without an answer"
    );
    Ok(())
}

fn prepare_kernel() -> Result<()> {
    // A limit that cannot be lifted is told by the loads that need more.
    let _ = probe::memlock::raise();
    fs::write("/proc/sys/kernel/bpf_stats_enabled", "1").context("switching program statistics on")?;
    // Only there can be read which security modules are active.
    let none: Option<&str> = None;
    let _ = mount(
        Some("securityfs"),
        "/sys/kernel/security",
        Some("securityfs"),
        MsFlags::empty(),
        none,
    );
    Ok(())
}

fn answer(bench: &mut Bench, stream: &UnixStream) -> Result<()> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line).context("reading the request")?;
    let mut findings = Findings { objects: Vec::new() };
    for path in &request.objects {
        let bytes = fs::read(path).with_context(|| format!("reading {path}"))?;
        let name = Path::new(path)
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        for loader in &request.loaders {
            findings
                .objects
                .push(child::examine(bench, &name, &bytes, *loader)?);
            clear_interface();
        }
    }
    fs::write(&request.out, serde_json::to_vec(&findings)?)
        .with_context(|| format!("writing {}", request.out))
}

/// Takes the queue away that programs of traffic control hang on: unlike all others they do not go with their process.
fn clear_interface() {
    use std::os::fd::AsFd;
    let Ok(index) = if_nametoindex(INTERFACE) else {
        return;
    };
    // The descriptor is not used for taking away; any open one will do.
    let nothing = std::io::stderr();
    let mut hook = TcHookBuilder::new(nothing.as_fd())
        .ifindex(index as i32)
        .hook(TC_INGRESS | TC_EGRESS);
    // Mostly there is no queue.
    let _ = crate::words::told(|| hook.destroy());
}
