//! `probelab support`: the table of what works where, made from records into the documents.

use std::collections::BTreeSet;

use miette::{IntoDiagnostic, Result, WrapErr};
use report::{Cell, KernelOf, Support};
use vm::kernels::Set;

use crate::{
    cells::Done, cli::SupportOf, exit::Exit, mutants::shown_probes, open::Context, out::out, render::write,
    stored,
};

/// What holds the table, and the pages that are made from it.
const SUMMARY: &str = "docs/support.json";
const PAGE: &str = "docs/support.md";
const README: &str = "README.md";
/// The lines around the table in the README.
const BEGIN: &str = "<!-- made by `probelab support` -->\n";
const END: &str = "<!-- end of what `probelab support` made -->\n";

/// Runs the command.
pub async fn run(context: &Context, arguments: &SupportOf) -> Result<Exit> {
    let done = stored::all(context, &arguments.records).await?;
    if done.is_empty() {
        return Err(stored::none(&arguments.records));
    }
    let cells: Vec<Cell<'_>> = done.iter().map(Done::cell).collect();
    let kernels = context
        .lock()?
        .kernels
        .into_iter()
        .filter(|pin| pin.sets.contains(&Set::Quick))
        .map(|pin| KernelOf {
            series: pin.name,
            version: pin.version,
            ran: None,
        })
        .collect();
    let scenarios = context.project.load(&["all".into()])?;
    let probes: BTreeSet<String> = scenarios.iter().flat_map(shown_probes).collect();
    let support = Support::of(&cells, kernels, &probes);

    let summary = context.project.path(SUMMARY);
    if let Some(folder) = summary.parent() {
        std::fs::create_dir_all(folder)
            .into_diagnostic()
            .wrap_err_with(|| folder.display().to_string())?;
    }
    write(&summary, &support.to_json().into_diagnostic()?)?;
    write(&context.project.path(PAGE), &support.to_page())?;
    out!("wrote {SUMMARY} and {PAGE} from {} runs", done.len());

    let path = context.project.path(README);
    let readme = std::fs::read_to_string(&path)
        .into_diagnostic()
        .wrap_err_with(|| path.display().to_string())?;
    match with_table(&readme, &support.to_table()) {
        Some(new) => {
            write(&path, &new)?;
            out!("wrote the table of {README}");
        }
        None => out!("{README} has no place for the table: the lines\n{BEGIN}{END}"),
    }
    Ok(Exit::Passed)
}

/// The README with this table between its two lines, when it has them.
fn with_table(readme: &str, table: &str) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_changes() {
        let readme = format!("a\n{BEGIN}old\n{END}b\n");
        let new = with_table(&readme, "| new |\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n| new |\n\n{END}b\n"));
        assert_eq!(with_table(&new, "| new |\n"), Some(new.clone()));
        assert_eq!(with_table("no place", "| new |\n"), None);
    }
}
