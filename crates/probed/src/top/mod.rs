//! `probed top`: which control groups wait for a processor, and who keeps it from them, by the metrics of a running
//! probed with a `RunqProbe`.

mod screen;
mod table;
mod waits;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::bail;

use self::waits::{Counted, Waits};
use crate::client::ClientArguments;
use crate::manifest::ManifestError;
use crate::scraper::Scraper;

/// Options of `probed top`.
#[derive(Debug, clap::Args)]
pub struct TopArguments {
    /// The daemon, HOST:PORT or a URL.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    from: String,
    /// Time over which waits are added up, and between two pictures.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    every: f64,
    /// Print one table and end, as is done where there is no terminal.
    #[arg(long)]
    once: bool,
    /// Print one JSON object and end.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientArguments,
}

/// Shows waits until `q`, or prints them once.
///
/// # Errors
/// When the daemon does not answer or has no run-queue probe.
pub fn run(arguments: &TopArguments) -> anyhow::Result<()> {
    let every = Duration::try_from_secs_f64(arguments.every)
        .ok()
        .filter(|every| !every.is_zero())
        .ok_or_else(|| {
            ManifestError::Usage(format!(
                "--every {}: a number of seconds above 0 is needed",
                arguments.every
            ))
        })?;
    let scraper = Scraper::new(arguments.client.client()?, &arguments.from);
    let mut before = count(&scraper)?;
    let next = move || {
        let now = count(&scraper)?;
        let waits = Waits::between(&before, &now);
        before = now;
        Ok(waits)
    };
    if arguments.json || arguments.once || !std::io::stdout().is_terminal() {
        return once(every, next, arguments.json);
    }
    screen::show(&arguments.from, every, next)
}

fn once(
    every: Duration,
    mut next: impl FnMut() -> anyhow::Result<Waits>,
    is_json: bool,
) -> anyhow::Result<()> {
    std::thread::sleep(every);
    let waits = next()?;
    if is_json {
        println!("{}", serde_json::to_string(&waits)?);
    } else {
        print!("{}", table::text(&waits));
    }
    Ok(())
}

fn count(scraper: &Scraper) -> anyhow::Result<Counted> {
    let (at_seconds, series) = scraper.series()?;
    match Counted::new(at_seconds, &series) {
        Some(counted) => Ok(counted),
        None => bail!("the daemon has no run-queue probe; a manifest with `kind: RunqProbe` gives it one"),
    }
}
