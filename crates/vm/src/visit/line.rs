//! The line to the guest program of a visit: a process with frames on its standard input and output.
//!
//! Two threads move the bytes. They do so whatever the lab computes meanwhile: the far side must hear every few
//! seconds that somebody is there.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill as send_signal},
    unistd::Pid,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wire::{FrameError, FrameKind, Header};

use super::Trouble;
use crate::{Error, IoContext, Result};

/// How often the far side hears that the lab is there; it waits a minute.
const ALIVE: Duration = Duration::from_secs(10);
/// How often a process that is to end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A process that was started, before frames are spoken.
pub struct Started {
    /// Its input.
    pub input: ChildStdin,
    /// Its output.
    pub output: BufReader<ChildStdout>,
    process: Process,
}

/// The process behind a line. Dropping it kills it.
#[derive(Debug)]
struct Process {
    child: Child,
    machine: String,
    words: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    /// What it is about.
    pub kind: FrameKind,
    /// Its body.
    pub body: Vec<u8>,
}

/// Something to send.
enum Parcel {
    Bytes(FrameKind, Vec<u8>),
    File(FrameKind, File, u64),
}

/// The open line.
#[derive(Debug)]
pub struct Line {
    parcels: Sender<Parcel>,
    frames: UnboundedReceiver<io::Result<Frame>>,
    process: Process,
}

/// Starts a program with pipes on all its ends, in a process group of its own: a Ctrl-C is not for it.
pub fn spawn(mut command: Command, machine: &str, scratch: tempfile::TempDir) -> io::Result<Started> {
    let words = scratch.path().join("words");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&words)?)
        .process_group(0);
    let mut child = command.spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        // Both were asked for just above.
        return Err(io::Error::other("the program has no pipes"));
    };
    Ok(Started {
        input,
        output: BufReader::new(output),
        process: Process {
            child,
            machine: machine.to_owned(),
            words,
            _scratch: scratch,
        },
    })
}

/// Ends a process at once.
pub fn kill(process: Pid) {
    // It may be gone already.
    let _ = send_signal(process, Signal::SIGKILL);
}

impl Started {
    /// The process.
    pub fn process(&self) -> Pid {
        // Process ids are far smaller than 2^31 on Linux.
        Pid::from_raw(self.process.child.id() as i32)
    }

    /// Waits for its end after it hung up; its status and last words.
    pub fn ended(&mut self) -> (Option<ExitStatus>, String) {
        self.process.ended()
    }

    /// An error about this machine.
    pub fn trouble(&self, trouble: Trouble) -> Error {
        self.process.trouble(trouble)
    }

    /// From now on frames are spoken.
    pub fn into_line(self) -> Line {
        let (parcels, to_send) = channel();
        let (arrived, frames) = unbounded_channel();
        let (input, output) = (self.input, self.output);
        // Both end when the process does, or when the line is dropped.
        std::thread::spawn(move || write_frames(input, &to_send));
        std::thread::spawn(move || read_frames(output, &arrived));
        Line {
            parcels,
            frames,
            process: self.process,
        }
    }
}

impl Process {
    fn ended(&mut self) -> (Option<ExitStatus>, String) {
        (self.child.wait().ok(), last_words(&self.words))
    }

    fn trouble(&self, trouble: Trouble) -> Error {
        Error::Machine {
            machine: self.machine.clone(),
            trouble,
            words: last_words(&self.words),
        }
    }
}

impl Line {
    /// Sends a frame.
    pub fn send(&self, kind: FrameKind, body: Vec<u8>) -> Result<()> {
        self.hand_over(Parcel::Bytes(kind, body))
    }

    /// Sends a frame whose body is a file.
    pub fn send_file(&self, kind: FrameKind, path: &Path) -> Result<()> {
        let file = File::open(path).at("opening", path)?;
        let length = file.metadata().at("reading", path)?.len();
        self.hand_over(Parcel::File(kind, file, length))
    }

    fn hand_over(&self, parcel: Parcel) -> Result<()> {
        let sent = self.parcels.send(parcel);
        sent.map_err(|_| self.trouble(Trouble::Lost))
    }

    /// The next frame.
    pub async fn receive(&mut self) -> Result<Frame> {
        match self.frames.recv().await {
            Some(Ok(frame)) => Ok(frame),
            Some(Err(error)) => Err(self.trouble(Trouble::Far {
                reason: error.to_string(),
            })),
            None => Err(self.trouble(Trouble::Lost)),
        }
    }

    /// An error about this machine.
    pub fn trouble(&self, trouble: Trouble) -> Error {
        self.process.trouble(trouble)
    }

    /// A frame out of turn is mostly the far side's account of why it cannot go on.
    pub fn unexpected(&self, frame: &Frame) -> Error {
        let reason = match frame.kind {
            FrameKind::Failed => String::from_utf8_lossy(&frame.body).into_owned(),
            kind => format!("it sent an unexpected frame: {kind:?}"),
        };
        self.trouble(Trouble::Far { reason })
    }

    /// Hangs up and waits until the far side has ended; whether it did in time.
    pub async fn end(self, patience: Duration) -> bool {
        let Self {
            parcels,
            frames,
            mut process,
        } = self;
        drop(parcels);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if matches!(process.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        drop(frames);
        false
    }
}

/// Sends what is handed over, and a sign of life when there is nothing, until the line is dropped or broken.
fn write_frames(input: ChildStdin, parcels: &Receiver<Parcel>) {
    let mut out = BufWriter::new(input);
    loop {
        let parcel = match parcels.recv_timeout(ALIVE) {
            Ok(parcel) => parcel,
            Err(RecvTimeoutError::Timeout) => Parcel::Bytes(FrameKind::Alive, Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Who reads the answers notices that there are no more.
        if write_frame(&mut out, parcel).is_err() {
            return;
        }
    }
}

fn write_frame(out: &mut impl Write, parcel: Parcel) -> io::Result<()> {
    match parcel {
        Parcel::Bytes(kind, body) => {
            let length = body.len() as u64;
            out.write_all(&Header { kind, length }.to_bytes())?;
            out.write_all(&body)?;
        }
        Parcel::File(kind, file, length) => {
            out.write_all(&Header { kind, length }.to_bytes())?;
            io::copy(&mut file.take(length), out)?;
        }
    }
    out.flush()
}

fn read_frames(mut input: impl Read, arrived: &UnboundedSender<io::Result<Frame>>) {
    loop {
        let frame = match read_frame(&mut input) {
            Ok(None) => return,
            Ok(Some(frame)) => Ok(frame),
            Err(error) => Err(error),
        };
        let is_last = frame.is_err();
        if arrived.send(frame).is_err() || is_last {
            return;
        }
    }
}

/// The next frame; nothing at the end.
fn read_frame(input: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut bytes = [0; Header::BYTES];
    match input.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let header = Header::from_bytes(bytes).map_err(|error: FrameError| io::Error::other(error))?;
    let mut body = Vec::new();
    let read = input.take(header.length).read_to_end(&mut body)?;
    let is_whole = read as u64 == header.length;
    Ok(is_whole.then_some(Frame {
        kind: header.kind,
        body,
    }))
}

/// The last lines that the program wrote to standard error.
fn last_words(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).replace('\r', "");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(6)..];
    if last.is_empty() {
        return String::from("it said nothing");
    }
    last.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_half_a_frame_is_the_end() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, Parcel::Bytes(FrameKind::Run, b"message".to_vec())).unwrap();
        let whole = bytes.len();
        write_frame(&mut bytes, Parcel::Bytes(FrameKind::Stop, Vec::new())).unwrap();
        let mut input = bytes.as_slice();
        let frame = read_frame(&mut input).unwrap().unwrap();
        assert_eq!(
            (frame.kind, frame.body.as_slice()),
            (FrameKind::Run, &b"message"[..])
        );
        assert_eq!(read_frame(&mut input).unwrap().unwrap().kind, FrameKind::Stop);
        assert!(read_frame(&mut input).unwrap().is_none());
        for length in 0..whole {
            assert!(read_frame(&mut &bytes[..length]).unwrap().is_none(), "{length}");
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        assert!(read_frame(&mut &b"Welcome to this machine"[..]).is_err());
    }

    #[test]
    fn a_file_is_sent_as_long_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        std::fs::write(&path, "0123456789").unwrap();
        let mut bytes = Vec::new();
        let parcel = Parcel::File(FrameKind::Archive, File::open(&path).unwrap(), 10);
        write_frame(&mut bytes, parcel).unwrap();
        assert_eq!(
            read_frame(&mut bytes.as_slice()).unwrap().unwrap().body,
            b"0123456789"
        );
    }
}
