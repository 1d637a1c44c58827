//! Stored records, judged again: what `report` and `support` work with.

use std::path::Path;

use miette::{IntoDiagnostic, Report, Result, WrapErr, miette};
use scenario::Judgement;

use crate::{
    cells::{Done, judged, read_record},
    files::Loaded,
    open::Context,
    pairs,
    show::{DONE, with_help},
};

/// The runs of a folder of records, kernel by kernel from the oldest, judged by the scenarios of this project. What
/// cannot be read, and what is of no scenario here, is told and left out.
pub async fn all(context: &Context, folder: &Path) -> Result<Vec<Done>> {
    let known = context.project.every()?;
    let mut done = Vec::new();
    let entries = std::fs::read_dir(folder)
        .into_diagnostic()
        .wrap_err_with(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.into_diagnostic()?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    // Where progress is lines in a log, a line for each would bury the rest.
    let stride = paths.len().div_ceil(10).max(1);
    for (index, path) in paths.iter().enumerate() {
        if index % stride == 0 {
            let what = format!("judging record {} of {}", index + 1, paths.len());
            context.progress.step("report", what);
        }
        match one(&known, path).await {
            Ok(run) => done.push(run),
            Err(error) => context.progress.notice("report", format!("left out: {error:#}")),
        }
    }
    context.progress.step("report", DONE);
    sort(&mut done, &known);
    pairs::compare(&mut done);
    Ok(done)
}

/// That a folder has none.
pub fn none(folder: &Path) -> Report {
    miette!(
        help = "`probelab matrix --records FOLDER` or `probelab run --records FOLDER` leaves records there",
        "there is no record in {}",
        folder.display()
    )
}

/// Puts runs in the order of reports: kernel by kernel from the oldest, and the scenarios as they are known.
pub fn sort(done: &mut [Done], known: &[Loaded]) {
    let place = |scenario: &str| known.iter().position(|loaded| loaded.name == scenario);
    done.sort_by_cached_key(|done| (version(&done.kernel), place(&done.scenario), done.loader));
}

async fn one(known: &[Loaded], path: &Path) -> Result<Done> {
    let record = read_record(path)?;
    let loaded = known
        .iter()
        .find(|loaded| loaded.name == record.scenario)
        .ok_or_else(|| miette!("{}: no scenario `{}` here", path.display(), record.scenario))?;
    // A record that was changed after it was made proves nothing.
    if record.digest != record.compute_digest() {
        let judgement = Judgement::infra(with_help(
            miette!("{} is not what was recorded: its digest differs", path.display()).as_ref(),
        ));
        return Ok(Done::without_record(
            loaded,
            &record.kernel.label(),
            record.loader,
            judgement,
        ));
    }
    Ok(judged(loaded, record, path).await)
}

/// The numbers of a kernel's name, so that 6.12 comes after 6.1 and before 7.
fn version(kernel: &str) -> (Vec<u64>, String) {
    let numbers = kernel
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok());
    (numbers.collect(), kernel.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_in_the_order_of_their_versions() {
        let mut kernels = ["7.2", "6.12*", "6.1", "5.10", "host"];
        kernels.sort_by_key(|kernel| version(kernel));
        assert_eq!(kernels, ["host", "5.10", "6.1", "6.12*", "7.2"]);
    }
}
