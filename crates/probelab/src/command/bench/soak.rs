//! `probelab bench soak`: one run restored again and again. Is it the same to the last byte each time, and is anything
//! left behind: open files, processes, memory, files?

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use miette::{IntoDiagnostic, Result, miette};
use procfs::{
    WithCurrentSystemInfo,
    process::{Process, all_processes},
};
use serde::Serialize;
use vm::{cache::Cache, run::scratch_place};
use wire::{Lane, Loader};

use super::{completed, exit_of, load};
use crate::{
    build::Builder,
    cells::{Input, fetch_all, request},
    exit::Exit,
    open::Context,
    out::{self, out},
    show::{DONE, bytes},
};

/// The shortest run there is.
const SCENARIO: &str = "canary";
/// Restores after which nothing is new any more: caches of this program are full.
const WARM_UP: usize = 20;
/// How much this program may grow: allocators keep some.
const GROWTH_BYTES: u64 = 1 << 20;
const STEP: Duration = Duration::from_millis(500);

/// What a process that leaks has more and more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Held {
    open_files: usize,
    child_processes: usize,
    resident_bytes: u64,
    /// Folders of runs.
    run_folders: usize,
}

#[derive(Debug, Serialize)]
struct Row {
    kernel: String,
    restores: usize,
    digests: BTreeSet<String>,
    seconds_per_restore: f64,
    /// After the warm-up, and at the end.
    held: [Held; 2],
}

impl Row {
    fn growth_bytes(&self) -> u64 {
        let [before, after] = self.held;
        after.resident_bytes.saturating_sub(before.resident_bytes)
    }

    fn holds(&self) -> bool {
        let [before, after] = self.held;
        self.digests.len() == 1
            && after.open_files <= before.open_files
            && after.child_processes == 0
            && after.run_folders == 0
            && self.growth_bytes() <= GROWTH_BYTES
    }
}

/// Runs the command.
pub async fn run(context: &Context, kernels: &[String], restores: usize, json: bool) -> Result<Exit> {
    if restores <= WARM_UP {
        return Err(miette!("--restores must be above {WARM_UP}, which only warm up"));
    }
    let lab = context.lab(Lane::Virtual).await?;
    let loaded = load(context, SCENARIO)?;
    let files = Builder::default().files(context, &loaded).await?;
    let input = Input {
        seed: 1,
        lane: Lane::Virtual,
        loader: Loader::default(),
        probed: None,
    };
    let request = request(&loaded, &files, &input)?;
    let mut rows = Vec::new();
    for kernel in fetch_all(context, &context.sources(kernels, None)?).await? {
        let mut digests = BTreeSet::new();
        let (mut warm, mut begin, mut shown) = (None, Instant::now(), Instant::now());
        for restore in 0..restores {
            if restore == WARM_UP {
                warm = Some(held(&context.cache)?);
                begin = Instant::now();
            }
            if restore == 0 || shown.elapsed() >= STEP {
                let step = format!("restore {} of {restores}", restore + 1);
                context.progress.step(&kernel.label(), step);
                shown = Instant::now();
            }
            let record = completed(lab.run(&kernel, &request).await?)?;
            digests.insert(record.digest);
        }
        let seconds = begin.elapsed().as_secs_f64();
        let after = held(&context.cache)?;
        rows.push(Row {
            kernel: kernel.label(),
            restores,
            digests,
            seconds_per_restore: seconds / (restores - WARM_UP) as f64,
            held: [warm.unwrap_or(after), after],
        });
        context.progress.step(&kernel.label(), DONE);
    }
    if json {
        out::json(&rows)?;
    } else {
        print(&rows)?;
    }
    Ok(exit_of(rows.iter().all(Row::holds)))
}

fn held(cache: &Cache) -> Result<Held> {
    let own = Process::myself().into_diagnostic()?;
    let stat = own.stat().into_diagnostic()?;
    let children = all_processes()
        .into_diagnostic()?
        // One that ended meanwhile is none.
        .filter_map(|process| process.ok()?.stat().ok())
        .filter(|process| process.ppid == stat.pid)
        .count();
    Ok(Held {
        open_files: own.fd_count().into_diagnostic()?,
        child_processes: children,
        resident_bytes: stat.rss_bytes().get(),
        run_folders: run_folders(cache)?,
    })
}

/// This process' own; others may run something, too.
fn run_folders(cache: &Cache) -> Result<usize> {
    let (place, prefix) = scratch_place(cache)?;
    let entries = std::fs::read_dir(place).into_diagnostic()?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .count())
}

fn print(rows: &[Row]) -> Result<()> {
    out!("kernel  restores  digests  s each  open files  child processes  run folders   memory      growth");
    for row in rows {
        let [before, after] = row.held;
        out!(
            "{:6}  {:>8}  {:>7}  {:>6.3}  {:10}  {:15}  {:12}  {:>10}  {:>10}",
            row.kernel,
            row.restores,
            row.digests.len(),
            row.seconds_per_restore,
            format!("{} → {}", before.open_files, after.open_files),
            format!("{} → {}", before.child_processes, after.child_processes),
            format!("{} → {}", before.run_folders, after.run_folders),
            bytes(after.resident_bytes),
            bytes(row.growth_bytes()),
        );
    }
    out!(
        "promised: one digest, nothing more at the end than after {WARM_UP} restores, and at most {} of memory",
        bytes(GROWTH_BYTES)
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_left_behind_breaks_the_promise() {
        let held = Held {
            open_files: 12,
            child_processes: 0,
            resident_bytes: 5 << 20,
            run_folders: 0,
        };
        let row = |after: Held, digests: &[&str]| Row {
            kernel: "6.12".into(),
            restores: 1000,
            digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
            seconds_per_restore: 0.5,
            held: [held, after],
        };
        assert!(row(held, &["a"]).holds());
        let grown = Held {
            resident_bytes: held.resident_bytes + GROWTH_BYTES,
            open_files: 11,
            ..held
        };
        assert!(row(grown, &["a"]).holds());
        for broken in [
            row(held, &["a", "b"]),
            row(held, &[]),
            row(
                Held {
                    open_files: 13,
                    ..held
                },
                &["a"],
            ),
            row(
                Held {
                    child_processes: 1,
                    ..held
                },
                &["a"],
            ),
            row(
                Held {
                    run_folders: 1,
                    ..held
                },
                &["a"],
            ),
            row(
                Held {
                    resident_bytes: grown.resident_bytes + 1,
                    ..held
                },
                &["a"],
            ),
        ] {
            assert!(!broken.holds(), "{broken:?}");
        }
    }
}
