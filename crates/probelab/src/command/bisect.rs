//! `probelab bisect`: two kernels between which something changed, and the first build that shows the change.
//!
//! It tells where, not why; what it looks at is a verdict, or the value of one metric series.

use miette::{IntoDiagnostic, Result, miette};
use serde::Serialize;
use vm::kernels::{self, Pin, Source};
use wire::{Lane, Record};

use crate::{
    cells::{Done, Setup, records_folder, run_all},
    cli::Bisect,
    exit::Exit,
    files::Loaded,
    open::{Context, PROBED_VARIABLE},
    out::{self, out},
    search::first_different,
};

/// Where the guest's metrics are among a record's outputs.
const METRICS: &str = "metrics";

/// What one build showed.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Finding {
    kernel: String,
    version: String,
    /// The verdict, or the value of the series.
    shows: String,
}

/// Runs the command.
pub async fn run(context: &Context, arguments: &Bisect) -> Result<Exit> {
    let scenarios = context.project.load(std::slice::from_ref(&arguments.scenario))?;
    let pins = between(
        &kernels::available(&context.lock()?)?,
        &arguments.good,
        &arguments.bad,
    )?;
    let mut bisection = Bisection {
        context,
        arguments,
        scenarios,
        lab: context.lab(Lane::Virtual).await?,
        findings: Vec::new(),
    };
    let last = pins.len() - 1;
    let good = bisection.look(&pins[0]).await?;
    let bad = bisection.look(&pins[last]).await?;
    if good == bad {
        return Err(miette!(
            help = "without a difference between the two there is nothing to look for; `--series` compares a value",
            "{} and {} both show {good}",
            pins[0].name,
            pins[last].name
        ));
    }
    let first = first_different(
        last,
        async |index| Ok(bisection.look(&pins[index]).await? != good),
    )
    .await?;
    bisection.print(&pins[first - 1], &pins[first])?;
    Ok(Exit::Passed)
}

/// The pins from one to the other, oldest first, all of one flavour.
fn between(sources: &[Source], good: &str, bad: &str) -> Result<Vec<Pin>> {
    let find = |name: &str| -> Result<Pin> {
        match kernels::select(sources, &[name.to_owned()])?.as_slice() {
            [Source::Pinned(pin)] => Ok(pin.clone()),
            _ => Err(miette!(
                help = "`probelab kernels list` shows them",
                "`{name}` must be one pinned kernel"
            )),
        }
    };
    let (good, bad) = (find(good)?, find(bad)?);
    let pins: Vec<Pin> = sources
        .iter()
        .filter_map(|source| match source {
            Source::Pinned(pin) if pin.flavour == good.flavour => Some(pin.clone()),
            _ => None,
        })
        .collect();
    let place = |wanted: &Pin| pins.iter().position(|pin| pin == wanted);
    match (place(&good), place(&bad)) {
        (Some(from), Some(to)) if from < to => Ok(pins[from..=to].to_vec()),
        (Some(_), Some(_)) => Err(miette!(
            help = "the lock lists the pins from old to new",
            "{} is not older than {}",
            good.name,
            bad.name
        )),
        _ => Err(miette!(
            help = "a difference between flavours is no difference between builds",
            "{} and {} are of different flavours",
            good.name,
            bad.name
        )),
    }
}

struct Bisection<'a> {
    context: &'a Context,
    arguments: &'a Bisect,
    scenarios: Vec<Loaded>,
    lab: vm::run::Lab,
    findings: Vec<Finding>,
}

impl Bisection<'_> {
    /// Runs the scenario on a build; what it shows is noted and returned.
    async fn look(&mut self, pin: &Pin) -> Result<String> {
        let kernel = self.context.fetch(&Source::Pinned(pin.clone())).await?;
        let setup = Setup {
            lab: self.lab.clone(),
            kernels: vec![kernel],
            probed: self.context.project.program("probed", PROBED_VARIABLE).ok(),
            loaders: vec![self.arguments.loader],
            seed: self.arguments.seed,
            lane: Lane::Virtual,
            jobs: 1,
            records: records_folder(self.context, None)?,
        };
        let done = run_all(self.context, &setup, &self.scenarios).await?;
        let done = done
            .first()
            .ok_or_else(|| miette!("nothing ran on {}", pin.name))?;
        let shows = self.shown_by(done)?;
        let finding = Finding {
            kernel: pin.name.clone(),
            version: pin.version.clone(),
            shows: shows.clone(),
        };
        if !self.arguments.json {
            out!("{:12} {:24} {}", finding.kernel, finding.version, finding.shows);
        }
        self.findings.push(finding);
        Ok(shows)
    }

    fn shown_by(&self, done: &Done) -> Result<String> {
        let Some(series) = &self.arguments.series else {
            return Ok(done.cell().word().to_owned());
        };
        let record = done
            .record
            .as_ref()
            .ok_or_else(|| miette!("{} left no record on {}", done.scenario, done.kernel))?;
        value_of(record, series)
    }

    fn print(&self, before: &Pin, first: &Pin) -> Result<()> {
        if self.arguments.json {
            return out::json(&serde_json::json!({
                "scenario": self.arguments.scenario,
                "series": self.arguments.series,
                "looked_at": self.findings,
                "last_without": before.name,
                "first_with": first.name,
            }));
        }
        out!(
            "\nThe first build that differs is {} ({}); {} ({}) before it does not.",
            first.name,
            first.version,
            before.name,
            before.version
        );
        Ok(())
    }
}

/// The sum of all values that the probe's series has.
fn value_of(record: &Record, name: &str) -> Result<String> {
    let output = record.outputs.get(METRICS).ok_or_else(|| {
        miette!(
            "{} on {} has no metrics: {}",
            record.scenario,
            record.kernel.series,
            record.end
        )
    })?;
    let all = scenario::read_openmetrics(&output.text()).into_diagnostic()?;
    let values: Vec<f64> = all
        .iter()
        .filter(|series| series.name == name)
        .map(|series| series.value)
        .collect();
    if values.is_empty() {
        return Err(miette!(
            help = format!("there are: {}", names(&all)),
            "the probe of {} has no series `{name}` on {}",
            record.scenario,
            record.kernel.series
        ));
    }
    Ok(values.iter().sum::<f64>().to_string())
}

fn names(all: &[scenario::Series]) -> String {
    let mut names: Vec<&str> = all.iter().map(|series| series.name.as_str()).collect();
    names.dedup();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<Source> {
        [
            ("6.1.9", "cloud"),
            ("6.1", "cloud"),
            ("6.1-rt", "rt"),
            ("6.12.4", "cloud"),
            ("6.12", "cloud"),
        ]
        .map(|(name, flavour)| {
            Source::Pinned(Pin {
                name: name.into(),
                series: name.into(),
                flavour: flavour.into(),
                sets: Vec::new(),
                package: "p".into(),
                version: format!("{name}-1"),
                image_sha256: String::new(),
                archives: Vec::new(),
            })
        })
        .into()
    }

    #[test]
    fn builds_between_two_are_of_their_flavour() {
        let names = |pins: Vec<Pin>| pins.into_iter().map(|pin| pin.name).collect::<Vec<_>>();
        assert_eq!(
            names(between(&sources(), "6.1", "6.12").unwrap()),
            ["6.1", "6.12.4", "6.12"]
        );
    }

    #[test]
    fn ends_that_make_no_sense_are_refused() {
        for (good, bad, words) in [
            ("6.12", "6.1", "is not older"),
            ("6.1", "6.1", "is not older"),
            ("6.1", "6.1-rt", "different flavours"),
            ("6.*", "6.12", "one pinned kernel"),
            ("4.19", "6.12", "no kernel matches"),
        ] {
            let error = between(&sources(), good, bad).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
