//! Where a report's readings come from: a daemon that keeps a history, one that keeps none, or a recording.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use slo::{History, Scrape};

use super::SourceArguments;
use super::objectives::Objectives;
use super::record::Clock;
use crate::client::Client;
use crate::manifest::ManifestError;

/// A history is text of this size at most.
const ANSWER_BYTES: u64 = 256 << 20;
/// A window that a report does not wait for.
const LONG_MS: slo::Milliseconds = 3_600_000;

/// Where readings come from.
pub enum Source {
    /// A file.
    Recording(PathBuf),
    /// A daemon.
    Daemon(Daemon),
}

/// A daemon, and what was read of it here.
pub struct Daemon {
    address: String,
    client: Client,
    clock: Clock,
    sampled: History,
}

impl Source {
    /// The one that was asked for.
    ///
    /// # Errors
    /// When what the daemon wants of those that ask it cannot be read.
    pub fn new(arguments: SourceArguments, objectives: &Objectives) -> Result<Self, ManifestError> {
        if let Some(path) = arguments.samples {
            return Ok(Self::Recording(path));
        }
        Ok(Self::Daemon(Daemon {
            address: arguments.address,
            client: arguments.client.client()?,
            clock: Clock::now(),
            sampled: objectives.history(),
        }))
    }

    /// The readings there are now.
    ///
    /// # Errors
    /// When nobody answers, or what is answered is no metrics.
    pub fn now(&mut self, objectives: &Objectives) -> anyhow::Result<History> {
        match self {
            Self::Recording(path) => {
                let doing = || ManifestError::Usage(format!("cannot read the recording {}", path.display()));
                let text = std::fs::read_to_string(&*path).with_context(doing)?;
                read(&text, objectives).with_context(|| path.display().to_string())
            }
            Self::Daemon(daemon) => match daemon.get("/slo/samples")? {
                (200, text) => read(&text, objectives),
                (404, _) => {
                    daemon.sample(objectives)?;
                    Ok(daemon.sampled.clone())
                }
                (status, text) => bail!("{}: {status}: {}", daemon.url("/slo/samples"), text.trim()),
            },
        }
    }

    /// The readings of a whole window, taken here and now where the daemon keeps none.
    ///
    /// # Errors
    /// As for [`Self::now`], and when that would take too long.
    pub fn whole_window(&mut self, objectives: &Objectives) -> anyhow::Result<History> {
        let history = self.now(objectives)?;
        let Self::Daemon(daemon) = self else {
            return Ok(history);
        };
        if daemon.sampled.is_empty() {
            return Ok(history);
        }
        let window_ms = objectives.longest_ms();
        if window_ms > LONG_MS {
            return Err(ManifestError::Usage(format!(
                "the probed at {} keeps no history, and a window of {} is too long to wait for: start it with `probed run \
                 --slo FILE`",
                daemon.address,
                slo::duration_text(window_ms)
            ))
            .into());
        }
        daemon.sample_for(window_ms, objectives)?;
        Ok(daemon.sampled.clone())
    }
}

fn read(text: &str, objectives: &Objectives) -> anyhow::Result<History> {
    // A recording is kept as it is: whoever wrote it knew how fine it should be.
    Ok(History::read(
        text,
        objectives.longest_ms(),
        1,
        &objectives.names,
    )?)
}

impl Daemon {
    fn url(&self, path: &str) -> String {
        self.client.url(&self.address, path)
    }

    fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let url = self.url(path);
        let doing = || format!("no answer from {url}; is `probed run` there? --address says where it serves");
        let mut answer = self.client.get(&url).with_context(doing)?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES);
        let text = body.read_to_string().with_context(doing)?;
        Ok((answer.status().as_u16(), text))
    }

    fn sample(&mut self, objectives: &Objectives) -> anyhow::Result<()> {
        match self.get("/metrics")? {
            (200, text) => {
                let scrape = Scrape::read(&text, self.clock.unix_ms(), &objectives.names)
                    .with_context(|| self.url("/metrics"))?;
                self.sampled.push(scrape);
                Ok(())
            }
            (status, text) => bail!("{}: {status}: {}", self.url("/metrics"), text.trim()),
        }
    }

    fn sample_for(&mut self, window_ms: slo::Milliseconds, objectives: &Objectives) -> anyhow::Result<()> {
        let until_ms = self.clock.unix_ms() + window_ms;
        let mut progress = Progress::new();
        eprintln!(
            "the probed at {} keeps no history (`--slo`); watching it for {}",
            self.address,
            slo::duration_text(window_ms)
        );
        loop {
            let left_ms = until_ms - self.clock.unix_ms();
            if left_ms <= 0 {
                break;
            }
            progress.say(left_ms);
            std::thread::sleep(Duration::from_millis(
                left_ms.min(objectives.step_ms()).unsigned_abs(),
            ));
            self.sample(objectives)?;
        }
        progress.end();
        Ok(())
    }
}

/// How long it still takes, on a terminal.
struct Progress {
    is_terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn say(&mut self, left_ms: slo::Milliseconds) {
        if self.is_terminal {
            // Progress that cannot be shown is not worth an end.
            let _ = write!(std::io::stderr(), "\r{:>6} s left", left_ms.div_euclid(1000) + 1);
        }
    }

    fn end(&mut self) {
        if self.is_terminal {
            let _ = writeln!(std::io::stderr(), "\r{:14}\r", "");
        }
    }
}
