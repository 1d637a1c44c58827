//! `probelab cache`: what is there, what it costs, and making room.

use std::time::Duration;

use miette::{Result, miette};
use vm::cache::{Item, KINDS};

use crate::{
    cli::Cache,
    exit::Exit,
    open::Context,
    out::{self, out},
    show::bytes,
};

const DAY_SECONDS: u64 = 24 * 3600;

/// Runs the command.
pub fn run(context: &Context, command: &Cache) -> Result<Exit> {
    match command {
        Cache::List { json } => {
            let items = context.cache.list()?;
            if *json {
                out::json(&items)?;
            } else {
                print(&items)?;
                out!(
                    "{:>12}  in {}",
                    bytes(total(&items)),
                    context.cache.root().display()
                );
            }
        }
        Cache::Prune { days, kind } => {
            if let Some(unknown) = kind.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
                return Err(miette!(
                    help = format!("there are: {}", KINDS.join(", ")),
                    "nothing of kind `{unknown}` is in the cache"
                ));
            }
            let gone = context
                .cache
                .prune(Duration::from_secs(days * DAY_SECONDS), kind)?;
            print(&gone)?;
            out!("{:>12}  freed", bytes(total(&gone)));
        }
    }
    Ok(Exit::Passed)
}

fn print(items: &[Item]) -> Result<()> {
    for item in items {
        let name: String = item.name.chars().take(12).collect();
        out!(
            "{:>12}  {:11}  {name:12}  {}",
            bytes(item.bytes),
            item.kind,
            item.about
        );
    }
    Ok(())
}

fn total(items: &[Item]) -> u64 {
    items.iter().map(|item| item.bytes).sum()
}
