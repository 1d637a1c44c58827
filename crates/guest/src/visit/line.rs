//! The line to the lab: frames on standard input and output, and how to notice that nobody is there any more.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
};
use wire::{FrameError, FrameKind, Header};

/// The lab says every few seconds that it is there. After so long without a word it is not, even when the connection
/// has not noticed.
const SILENCE: Duration = Duration::from_secs(60);

/// The signals that end a visit.
pub const GOODBYES: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// The open line.
pub struct Line {
    input: File,
    output: File,
    goodbyes: SignalFd,
}

/// Why the line is of no use any more: the visit is over, which is no fault.
#[derive(Debug, thiserror::Error)]
pub enum Gone {
    /// The end of the input.
    #[error("the lab closed the connection")]
    Closed,
    /// A signal.
    #[error("a signal ended the visit")]
    Signal,
    /// See [`SILENCE`].
    #[error("nothing was heard of the lab for {} s", SILENCE.as_secs())]
    Silent,
    /// The connection is broken.
    #[error("the connection to the lab broke")]
    Broken(#[source] io::Error),
    /// Something else speaks.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Gone {
    /// What an error of a copy was: one of ours, or one of the other side of the copy.
    pub fn or_error(error: io::Error) -> anyhow::Error {
        match error.downcast::<Self>() {
            Ok(gone) => gone.into(),
            Err(error) => anyhow::Error::new(error).context("keeping the root filesystem in memory"),
        }
    }
}

/// What can be read first.
pub enum Event {
    /// The line's input.
    Input,
    /// The other thing.
    Other,
}

impl Line {
    /// Takes standard input and output, and the signals that end a visit.
    pub fn open() -> anyhow::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in GOODBYES {
            mask.add(signal);
        }
        mask.thread_block()?;
        let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        // A lab that stands still must not hold this process in a write for ever.
        let flags = OFlag::from_bits_retain(fcntl(&output, FcntlArg::F_GETFL)?);
        fcntl(&output, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        Ok(Self {
            input: File::from(io::stdin().as_fd().try_clone_to_owned()?),
            output,
            goodbyes: SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?,
        })
    }

    /// Waits for input of the line or of `other`, which goes first: it is what fills up.
    pub fn input_or(&self, other: &impl AsFd) -> Result<Event, Gone> {
        let ready = self.wait(&[
            (other.as_fd(), PollFlags::POLLIN),
            (self.input.as_fd(), PollFlags::POLLIN),
        ])?;
        Ok(if ready == 0 { Event::Other } else { Event::Input })
    }

    /// The next frame's header.
    pub fn header(&mut self) -> Result<Header, Gone> {
        let mut bytes = [0; Header::BYTES];
        self.read_exact(&mut bytes).map_err(gone)?;
        Ok(Header::from_bytes(bytes)?)
    }

    /// The body of a frame.
    pub fn body(&mut self, length: u64) -> Result<Vec<u8>, Gone> {
        let mut bytes = Vec::new();
        let read = self.take(length).read_to_end(&mut bytes).map_err(gone)?;
        if read as u64 == length {
            Ok(bytes)
        } else {
            Err(Gone::Closed)
        }
    }

    /// The reader of a body that is too long for memory at once.
    pub fn take(&mut self, length: u64) -> io::Take<&mut Self> {
        Read::take(self, length)
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: FrameKind, body: &[u8]) -> Result<(), Gone> {
        let header = Header {
            kind,
            length: body.len() as u64,
        };
        self.write_all(&header.to_bytes()).map_err(gone)?;
        self.write_all(body).map_err(gone)
    }

    /// Waits until one of these is ready; the index of the first that is. A signal goes before all.
    fn wait(&self, what: &[(BorrowedFd<'_>, PollFlags)]) -> Result<usize, Gone> {
        let mut list = vec![PollFd::new(self.goodbyes.as_fd(), PollFlags::POLLIN)];
        list.extend(what.iter().map(|(fd, flags)| PollFd::new(*fd, *flags)));
        // A minute of milliseconds is far from the limit.
        let patience = PollTimeout::try_from(SILENCE).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut list, patience) {
                Ok(0) => return Err(Gone::Silent),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(Gone::Broken(error.into())),
                Ok(_) => {}
            }
            match list.iter().position(|one| one.any().unwrap_or(true)) {
                Some(0) => return Err(Gone::Signal),
                Some(index) => return Ok(index - 1),
                None => {}
            }
        }
    }
}

fn gone(error: io::Error) -> Gone {
    error
        .downcast::<Gone>()
        .unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Gone::Closed,
            _ => Gone::Broken(error),
        })
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(&[(self.input.as_fd(), PollFlags::POLLIN)])
            .map_err(io::Error::other)?;
        self.input.read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(&[(self.output.as_fd(), PollFlags::POLLOUT)])
            .map_err(io::Error::other)?;
        match self.output.write(bytes) {
            // Another one filled the pipe in between.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::Interrupted.into()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
