//! `probed state record`, `learn`, `watch` and `explain`.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Subcommand;
use sysstate::{Label, Learned, Options, Reading, Schedule, Scrape, Window, Worth, heading, learn, scrapes};

use super::live::{Live, LiveArguments, model, read, seconds, wrong};
use super::text;
use crate::client::ClientArguments;
use crate::manifest::ManifestError;
use crate::scraper::Scraper;

/// Subcommands of `probed state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Write what a running probed serves to a file, again and again, to learn from.
    Record {
        /// The daemon, HOST:PORT or a URL.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
        from: String,
        /// Time between two scrapes, which is the length of a window.
        #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
        every: f64,
        /// How long; until it is stopped when absent.
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<f64>,
        #[command(flatten)]
        client: ClientArguments,
        /// Where to; a file that exists is replaced.
        #[arg(value_name = "RECORDING")]
        recording: PathBuf,
    },
    /// Make a model of recorded scrapes and what is known of their times.
    Learn {
        /// What `record` wrote.
        #[arg(value_name = "RECORDING")]
        recording: PathBuf,
        #[command(flatten)]
        labels: LabelArguments,
        /// How many clusters [default: as few as give each name its own]
        #[arg(long, value_name = "NUMBER")]
        clusters: Option<usize>,
        /// Where to write the model.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Say of each window whether the system is good, bad or unknown, and why; and whether traffic builds up.
    Watch {
        #[command(flatten)]
        live: LiveArguments,
        /// The daemon, HOST:PORT or a URL.
        #[arg(
            long,
            value_name = "ADDRESS",
            default_value = "127.0.0.1:9464",
            conflicts_with = "recording"
        )]
        from: String,
        #[command(flatten)]
        client: ClientArguments,
        /// Read a recording instead.
        #[arg(long, value_name = "RECORDING")]
        recording: Option<PathBuf>,
        /// How long; until it is stopped when absent.
        #[arg(long = "for", value_name = "SECONDS", conflicts_with = "recording")]
        seconds: Option<f64>,
        /// One JSON object for each window.
        #[arg(long)]
        json: bool,
    },
    /// Print what a model knows: its clusters and what is usual in them.
    Explain {
        /// The model.
        #[arg(value_name = "FILE")]
        model: PathBuf,
    },
}

/// What is known of the recorded times.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub struct LabelArguments {
    /// Lines `FROM TO good|bad [NAME]`, in seconds of the recording's clock.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Windows without such a label are bad when a sample of this series is above this at their end, else good: the
    /// burn rate of an objective, say.
    #[arg(long, value_name = "SERIES=NUMBER", value_parser = threshold)]
    bad_above: Option<(String, f64)>,
}

fn threshold(text: &str) -> Result<(String, f64), String> {
    let parts = text
        .split_once('=')
        .and_then(|(series, number)| Some((series.to_owned(), number.parse().ok()?)));
    parts.ok_or_else(|| "it is a name, an equals sign and a number".to_owned())
}

/// Runs a subcommand.
///
/// # Errors
/// When a file or the daemon cannot be read, or there is nothing to learn from.
pub fn execute(command: StateCommand) -> anyhow::Result<()> {
    match command {
        StateCommand::Record {
            from,
            client,
            every,
            seconds: duration,
            recording,
        } => record(Scraper::new(client.client()?, &from), every, duration, &recording),
        StateCommand::Learn {
            recording,
            labels,
            clusters,
            out,
        } => {
            let windows = labelled(&recording, &labels)?;
            let learned = learn(&windows, Options { clusters }).map_err(|error| wrong(&recording, &error))?;
            std::fs::write(&out, learned.model.to_toml())
                .with_context(|| format!("cannot write {}", out.display()))?;
            print!("{}", summary(&learned));
            Ok(())
        }
        StateCommand::Watch {
            live,
            from,
            client,
            recording,
            seconds,
            json,
        } => {
            let scraper = Scraper::new(client.client()?, &from);
            watch(&live, &scraper, recording.as_deref(), seconds, json)
        }
        StateCommand::Explain { model: path } => {
            print!("{}", text::table(&model(&path)?));
            Ok(())
        }
    }
}

/// Scrapes now and then every so often, as long as was asked for. The moments do not drift: one that is missed is left out.
fn repeat(
    every: Duration,
    duration: Option<Duration>,
    mut scrape: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut next = Duration::ZERO;
    loop {
        scrape()?;
        while next <= start.elapsed() {
            next += every;
        }
        // A scrape that is due at the very end belongs to it.
        if duration.is_some_and(|duration| next > duration) {
            return Ok(());
        }
        std::thread::sleep(next.saturating_sub(start.elapsed()));
    }
}

fn record(scraper: Scraper, every: f64, duration: Option<f64>, path: &Path) -> anyhow::Result<()> {
    let every = seconds("--every", every)?;
    let duration = duration.map(|value| seconds("--for", value)).transpose()?;
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let is_terminal = std::io::stderr().is_terminal();
    let mut count = 0;
    repeat(every, duration, || {
        let (at_seconds, text) = scraper.text()?;
        // In one piece, so that a recording that is stopped has no half a scrape.
        file.write_all((heading(at_seconds) + &text).as_bytes())?;
        count += 1;
        if is_terminal {
            eprint!("\r{count} scrapes");
        }
        Ok(())
    })?;
    eprintln!(
        "{}{count} scrapes in {}",
        if is_terminal { "\r" } else { "" },
        path.display()
    );
    Ok(())
}

fn labelled(path: &Path, arguments: &LabelArguments) -> anyhow::Result<Vec<(Window, Label)>> {
    let recording = read(path)?;
    let schedule = match &arguments.labels {
        Some(path) => Schedule::parse(&read(path)?).map_err(|error| wrong(path, &error))?,
        None => Schedule::default(),
    };
    let mut windows = Vec::new();
    let mut before: Option<Reading> = None;
    for scrape in scrapes(&recording) {
        let scrape = scrape.map_err(|error| wrong(path, &error))?;
        let reading = Reading::new(scrape.at_seconds, &scrape.series);
        let window = before.as_ref().map(|before| Window::between(before, &reading));
        match window {
            Some(Ok(window)) => {
                let label = schedule.label(&window).cloned();
                let label = label.or_else(|| by_threshold(&scrape, arguments.bad_above.as_ref()?));
                windows.extend(label.map(|label| (window, label)));
            }
            Some(Err(gap)) => tracing::warn!("at {} s: {gap}; no window", scrape.at_seconds),
            None => {}
        }
        before = Some(reading);
    }
    Ok(windows)
}

/// A series that is not there says nothing.
fn by_threshold(scrape: &Scrape, (name, threshold): &(String, f64)) -> Option<Label> {
    let samples = scrape.series.iter().filter(|series| series.name == *name);
    let highest = samples.map(|series| series.value).max_by(f64::total_cmp)?;
    Some(Label::of(if highest > *threshold {
        Worth::Bad
    } else {
        Worth::Good
    }))
}

fn summary(learned: &Learned) -> String {
    let mut text = format!("Learnt from {} windows.", learned.windows);
    if learned.incomplete > 0 {
        text += &format!(
            " {} were left out: a feature was not measured in them.",
            learned.incomplete
        );
    }
    if !learned.unmeasured.is_empty() {
        text += &format!(
            " Not measured, and not in the model: {}.",
            learned.unmeasured.join(", ")
        );
    }
    let is_one_sided = |worth| {
        learned
            .model
            .clusters
            .iter()
            .all(|cluster| cluster.worth == worth)
    };
    for worth in [Worth::Good, Worth::Bad] {
        if is_one_sided(worth) {
            text += &format!(
                " Every cluster is {}: nothing will be called anything else than that or unknown.",
                worth.name()
            );
        }
    }
    format!("{text}\n{}", text::table(&learned.model))
}

fn watch(
    arguments: &LiveArguments,
    scraper: &Scraper,
    recording: Option<&Path>,
    duration: Option<f64>,
    is_json: bool,
) -> anyhow::Result<()> {
    let mut live = Live::new(arguments)?.ok_or_else(|| {
        ManifestError::Usage("nothing to watch for: --state-model or --traffic-limit is needed".to_owned())
    })?;
    if let Some(path) = recording {
        for scrape in scrapes(&read(path)?) {
            let scrape = scrape.map_err(|error| wrong(path, &error))?;
            show(
                &mut live,
                Reading::new(scrape.at_seconds, &scrape.series),
                is_json,
            )?;
        }
        return Ok(());
    }
    let duration = duration.map(|value| seconds("--for", value)).transpose()?;
    repeat(live.every(), duration, || {
        let (at_seconds, series) = scraper.series()?;
        show(&mut live, Reading::new(at_seconds, &series), is_json)
    })
}

fn show(live: &mut Live, reading: Reading, is_json: bool) -> anyhow::Result<()> {
    let had_drifted = live.has_drifted();
    let Some(seen) = live.observe(reading) else {
        return Ok(());
    };
    let line = if is_json {
        text::json(seen)
    } else {
        Some(text::line(seen))
    };
    let mut out = std::io::stdout().lock();
    if let Some(line) = line {
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    if live.has_drifted() && !had_drifted {
        tracing::warn!("most of the last windows are like none of the training; is it time to learn again?");
    }
    Ok(())
}
