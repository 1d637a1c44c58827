//! `probelab budget`: what each BPF program costs in the scenarios that show it, beside what it may, to the last hundredth
//! of an instruction; and entering what was measured.

use std::collections::BTreeMap;

use comfy_table::{Table, presets::NOTHING};
use miette::{IntoDiagnostic, Result, WrapErr, miette};
use scenario::{Cost, CountedOn, Verdict, program_costs};
use serde::Serialize;
use toml_edit::{DocumentMut, InlineTable, Item, TableLike};
use wire::{Lane, Loader};

use crate::{
    cells::{Done, Setup, fetch_all, run_all},
    cli::{Budget, jobs},
    exit::Exit,
    files::Loaded,
    mutants::is_control,
    open::Context,
    out::{self, err, out},
};

/// Stands above the budgets in a scenario.
const HEADING: &str =
    "\n# What a run of each BPF program may cost, by kernel. `probelab budget --write` enters it.\n";

/// What the numbers that hold for every loader are measured with.
const MEASURED_WITH: Loader = Loader::Libbpf;

/// A program of a scenario on a kernel.
#[derive(Debug, Serialize)]
struct Row {
    scenario: String,
    kernel: String,
    loader: Loader,
    probe: String,
    program: String,
    runs: u64,
    instructions_per_run: f64,
    budget_instructions_per_run: Option<f64>,
    excess_instructions: Option<f64>,
    #[serde(skip)]
    tolerance_percent: f64,
}

impl Row {
    fn new(done: &Done, loader: Loader, tolerance_percent: f64, cost: Cost) -> Self {
        Self {
            tolerance_percent,
            scenario: done.scenario.clone(),
            kernel: done.kernel.clone(),
            loader,
            excess_instructions: cost.excess().map(|excess| (excess * 100.0).round() / 100.0),
            probe: cost.probe,
            program: cost.program,
            runs: cost.runs,
            instructions_per_run: cost.instructions_per_run,
            budget_instructions_per_run: cost.budget,
        }
    }

    /// To the last digit with the loader that the numbers are of.
    fn keeps(&self) -> bool {
        let (Some(budget), Some(excess)) = (self.budget_instructions_per_run, self.excess_instructions)
        else {
            return false;
        };
        match self.loader {
            MEASURED_WITH => excess <= 0.0,
            _ => excess <= self.tolerated(budget),
        }
    }

    fn tolerated(&self, budget: f64) -> f64 {
        budget * self.tolerance_percent / 100.0
    }
}

/// Runs the command.
pub async fn run(context: &Context, arguments: &Budget) -> Result<Exit> {
    if arguments.write {
        are_ours(context, &arguments.scenarios)?;
    }
    let mut scenarios = context.project.load(&arguments.scenarios)?;
    scenarios.retain(has_costs);
    let kernels = fetch_all(context, &context.sources(&arguments.kernel, None)?).await?;
    let setup = Setup {
        loaders: vec![arguments.loader],
        jobs: jobs(arguments.jobs),
        ..Setup::of(context, context.lab(Lane::Virtual).await?, kernels)?
    };
    let done = run_all(context, &setup, &scenarios).await?;
    let (sound, unsound): (Vec<&Done>, Vec<&Done>) =
        done.iter().partition(|done| why_unsound(done).is_none());
    for done in &unsound {
        let why = why_unsound(done).unwrap_or_default();
        err!("{} on {} is no measurement: {why}", done.scenario, done.kernel);
    }
    let rows: Vec<Row> = sound
        .into_iter()
        .flat_map(|done| measured(done, &scenarios))
        .collect();
    if rows.is_empty() {
        err!(
            "none of these runs measured a program; the sysctl kernel.bpf_stats_enabled has the kernel count"
        );
        return Ok(Exit::CouldNotRun);
    }
    let entered = match arguments.write {
        true => Some(write(context, &rows)?),
        false => None,
    };
    if arguments.json {
        out::json(&rows)?;
    } else {
        print(&rows, entered)?;
    }
    let holds = unsound.is_empty() && (arguments.write || rows.iter().all(Row::keeps));
    Ok(if holds { Exit::Passed } else { Exit::Failed })
}

/// Only the project's own scenarios are written to.
fn are_ours(context: &Context, wanted: &[String]) -> Result<()> {
    let known = context.project.scenario_names()?;
    match wanted.iter().find(|name| *name != "all" && !known.contains(name)) {
        Some(name) => Err(miette!(
            "`--write` enters budgets into scenarios of this project, and `{name}` is none"
        )),
        None => Ok(()),
    }
}

/// Why a run says nothing of costs: it was no pass, for more than its budget, or on a kernel that stands in for another.
fn why_unsound(done: &Done) -> Option<String> {
    let Some(record) = &done.record else {
        return Some("it was not made".into());
    };
    if record.kernel.stands_in_for.is_some() {
        return Some("its kernel stands in for another".into());
    }
    let judgement = &done.judgement;
    match &judgement.verdict {
        Verdict::Passed => None,
        _ if judgement.is_only_too_dear() => None,
        Verdict::Failed { reason }
        | Verdict::Infra { reason }
        | Verdict::Skipped { reason }
        | Verdict::Unsupported { reason, .. } => Some(reason.clone()),
    }
}

/// Scenarios that show what a right probe costs: no negative controls.
fn has_costs(loaded: &Loaded) -> bool {
    loaded.scenario.has_probe() && !is_control(loaded)
}

fn measured(done: &Done, scenarios: &[Loaded]) -> Vec<Row> {
    let loaded = scenarios.iter().find(|loaded| loaded.name == done.scenario);
    let (Some(record), Some(loader), Some(loaded)) = (&done.record, done.loader, loaded) else {
        return Vec::new();
    };
    let on = CountedOn {
        kernel: &done.kernel,
        loader,
    };
    let costs = program_costs(&loaded.scenario, on, &record.outputs);
    let tolerance = loaded.scenario.budget_tolerance_percent();
    costs
        .into_iter()
        .map(|cost| Row::new(done, loader, tolerance, cost))
        .collect()
}

fn print(rows: &[Row], entered: Option<usize>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "scenario",
        "kernel",
        "probe",
        "program",
        "runs",
        "instructions/run",
        "budget",
        "more",
    ]);
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    for row in rows {
        table.add_row([
            row.scenario.clone(),
            row.kernel.clone(),
            row.probe.clone(),
            row.program.clone(),
            row.runs.to_string(),
            number(Some(row.instructions_per_run)),
            number(row.budget_instructions_per_run),
            row.excess_instructions
                .map_or("-".to_owned(), |excess| format!("{excess:+.2}")),
        ]);
    }
    out!("{table}");
    let above = rows.iter().filter(|row| !row.keeps()).count();
    match entered {
        Some(count) => out!("{count} of {} entered", rows.len()),
        None => out!("{above} of {} above their budget, or without one", rows.len()),
    }
    Ok(())
}

/// Enters what was measured into the scenarios' own files; how many numbers.
fn write(context: &Context, rows: &[Row]) -> Result<usize> {
    let mut count = 0;
    let mut by_scenario: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_scenario.entry(&row.scenario).or_default().push(row);
    }
    for (scenario, rows) in by_scenario {
        let path = context
            .project
            .path("scenarios")
            .join(scenario)
            .join("scenario.toml");
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(&path)
            .into_diagnostic()
            .wrap_err_with(shown)?;
        let (text, of_scenario) = entered(&text, &rows).wrap_err_with(shown)?;
        count += of_scenario;
        std::fs::write(&path, text)
            .into_diagnostic()
            .wrap_err_with(shown)?;
    }
    Ok(count)
}

/// A scenario's text with these numbers in it, as far as they are entered, and how many are; everything else stays as it is.
fn entered(text: &str, rows: &[&Row]) -> Result<(String, usize)> {
    let mut count = 0;
    let mut document: DocumentMut = text.parse().into_diagnostic()?;
    let is_new = !document.contains_key("budget");
    let budget = table(&mut *document, "budget")?;
    let probes = table(budget, "instructions_per_run")?;
    for row in rows {
        let programs = table(probes, &row.probe)?;
        let kernels = programs
            .entry(&row.program)
            .or_insert_with(|| toml_edit::value(InlineTable::new()));
        let kernels = kernels
            .as_table_like_mut()
            .ok_or_else(|| miette!("the budget of `{}` is no table of kernels", row.program))?;
        count += usize::from(enter(kernels, row)?);
        kernels.fmt();
    }
    if let (true, Some(budget)) = (is_new, document["budget"].as_table_mut()) {
        head(budget);
    }
    Ok((document.to_string(), count))
}

/// Enters a number for every loader; for the other loader one of its own, where it needs more than that. Whether it did.
fn enter(kernels: &mut dyn TableLike, row: &Row) -> Result<bool> {
    let now = row.instructions_per_run;
    let Some(item) = kernels.get_mut(&row.kernel) else {
        if row.loader != MEASURED_WITH {
            return Err(miette!(
                help = "`probelab budget --write` without --loader enters those",
                "`{}` has no number on {} that {MEASURED_WITH} was measured with",
                row.program,
                row.kernel
            ));
        }
        kernels.insert(&row.kernel, toml_edit::value(now));
        return Ok(true);
    };
    if let Some(each) = item.as_table_like_mut() {
        each.insert(row.loader.name(), toml_edit::value(now));
        each.fmt();
        return Ok(true);
    }
    let old = number(item)
        .ok_or_else(|| miette!("the budget of `{}` on {} is no number", row.program, row.kernel))?;
    if row.loader == MEASURED_WITH {
        *item = toml_edit::value(now);
        return Ok(true);
    }
    let needs_its_own = now > old + row.tolerated(old);
    if needs_its_own {
        let each = [(MEASURED_WITH.name(), old), (row.loader.name(), now)];
        *item = toml_edit::value(InlineTable::from_iter(each));
    }
    Ok(needs_its_own)
}

/// A number, with a fraction or without one.
fn number(item: &Item) -> Option<f64> {
    item.as_float()
        .or_else(|| item.as_integer().map(|whole| whole as f64))
}

/// Puts the heading above the first table that is written out.
fn head(budget: &mut toml_edit::Table) {
    let probes = budget
        .get_mut("instructions_per_run")
        .and_then(Item::as_table_mut);
    let first = probes.and_then(|probes| probes.iter_mut().next().map(|(_, probe)| probe));
    if let Some(probe) = first.and_then(Item::as_table_mut) {
        probe.decor_mut().set_prefix(HEADING);
    }
}

fn table<'a>(parent: &'a mut dyn TableLike, name: &str) -> Result<&'a mut dyn TableLike> {
    let item = parent.entry(name).or_insert_with(|| {
        let mut table = toml_edit::Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    item.as_table_like_mut()
        .ok_or_else(|| miette!("`{name}` is no table"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::Project;

    fn row(kernel: &str, program: &str, instructions_per_run: f64) -> Row {
        Row {
            scenario: "one".into(),
            kernel: kernel.into(),
            loader: Loader::Libbpf,
            probe: "drop".into(),
            program: program.into(),
            runs: 1,
            instructions_per_run,
            budget_instructions_per_run: None,
            excess_instructions: None,
            tolerance_percent: 10.0,
        }
    }

    /// The text with these numbers in it.
    fn text_with(text: &str, rows: &[&Row]) -> String {
        entered(text, rows).unwrap().0
    }

    const SCENARIO: &str = "about = \"x\" # why\n\n[[expect]]\nname = \"all\"\n";

    #[test]
    fn what_was_measured_is_entered_and_everything_else_stays() {
        let rows = [
            row("5.10", "drop_packet", 233.95),
            row("6.12", "drop_packet", 230.0),
        ];
        let text = text_with(SCENARIO, &rows.iter().collect::<Vec<_>>());
        let expected = format!(
            "{SCENARIO}{HEADING}[budget.instructions_per_run.drop]\ndrop_packet = {{ \"5.10\" = 233.95, \"6.12\" = 230.0 }}\n"
        );
        assert_eq!(text, expected);
        let again = text_with(&text, &[&row("6.12", "drop_packet", 231.5)]);
        assert_eq!(again, expected.replace("230.0", "231.5"));
    }

    #[test]
    fn the_other_loader_has_a_number_where_it_needs_one() {
        let with_aya = |kernel, instructions| Row {
            loader: Loader::Aya,
            ..row(kernel, "drop_packet", instructions)
        };
        let measured = [
            row("5.10", "drop_packet", 100.0),
            row("6.12", "drop_packet", 100.0),
        ];
        let text = text_with(SCENARIO, &measured.iter().collect::<Vec<_>>());
        let more = [with_aya("5.10", 109.0), with_aya("6.12", 120.0)];
        let text = text_with(&text, &more.iter().collect::<Vec<_>>());
        let line = "drop_packet = { \"5.10\" = 100.0, \"6.12\" = { libbpf = 100.0, aya = 120.0 } }\n";
        assert!(text.ends_with(line), "{text}");
        let text = text_with(&text, &[&row("6.12", "drop_packet", 101.0)]);
        assert!(
            text.ends_with(&line.replace("libbpf = 100.0", "libbpf = 101.0")),
            "{text}"
        );
        let text = text_with(&text, &[&with_aya("6.12", 121.0)]);
        assert!(text.contains("{ libbpf = 101.0, aya = 121.0 }"), "{text}");
    }

    fn project() -> Project {
        Project {
            root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        }
    }

    /// In real time, on whatever kernel there is, nothing costs the same twice.
    const IN_REAL_TIME: &str = "http-rate";

    #[test]
    fn every_scenario_that_shows_a_probe_has_a_budget() {
        let mut scenarios = project().every().unwrap();
        scenarios.retain(|loaded| has_costs(loaded) && loaded.name != IN_REAL_TIME);
        assert!(!scenarios.is_empty());
        for loaded in scenarios {
            let name = &loaded.name;
            let kernels: Vec<&str> = loaded.scenario.budget_kernels().into_iter().collect();
            assert!(
                kernels == ["5.10", "6.1", "6.12", "6.18", "7.2"],
                "{name} has {kernels:?}: `probelab budget {name} --write`"
            );
        }
    }

    #[test]
    fn the_control_is_held_to_the_budget_of_what_it_controls() {
        let budget = |name: &str| -> String {
            let path = project().path("scenarios").join(name).join("scenario.toml");
            let document: DocumentMut = std::fs::read_to_string(path).unwrap().parse().unwrap();
            document["budget"]["instructions_per_run"]["drop"].to_string()
        };
        assert_eq!(budget("drop-filter-slower"), budget("drop-filter"));
    }

    #[test]
    fn a_tolerance_that_is_there_stays() {
        let text = format!("{SCENARIO}\n[budget]\ntolerance_percent = 5 # interrupts\n");
        let text = text_with(&text, &[&row("6.12", "drop_packet", 230.0)]);
        assert!(
            text.contains("tolerance_percent = 5 # interrupts\n\n[budget.instructions_per_run.drop]"),
            "{text}"
        );
    }
}
