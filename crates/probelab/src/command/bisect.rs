//! `probelab bisect`: two kernels between which something changed, and the first build that shows the change.
//!
//! It tells where, not why; what it looks at is a verdict, or the value of one metric series.

use miette::{IntoDiagnostic, Result, miette};
use serde::Serialize;
use vm::kernels::{self, Source};
use wire::{Lane, Record};

use crate::{
    cells::{Done, Setup, Take, run_all},
    cli::Bisect,
    exit::Exit,
    files::Loaded,
    open::Context,
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
    let builds = between(&context.all_sources()?, &arguments.good, &arguments.bad)?;
    let mut bisection = Bisection {
        context,
        arguments,
        scenarios,
        lab: context.lab(Lane::Virtual).await?,
        findings: Vec::new(),
    };
    let last = builds.len() - 1;
    let good = bisection.look(&builds[0]).await?;
    let bad = bisection.look(&builds[last]).await?;
    if good == bad {
        return Err(miette!(
            help = "without a difference between the two there is nothing to look for; `--series` compares a value",
            "{} and {} both show {good}",
            builds[0].offer.name,
            builds[last].offer.name
        ));
    }
    let first = first_different(last, async |index| {
        Ok(bisection.look(&builds[index]).await? != good)
    })
    .await?;
    bisection.print(&builds[first - 1], &builds[first])?;
    Ok(Exit::Passed)
}

/// The builds from one to the other, oldest first, all of one flavour.
fn between(sources: &[Source], good: &str, bad: &str) -> Result<Vec<Source>> {
    let find = |name: &str| -> Result<Source> {
        match kernels::select(sources, &[name.to_owned()])?.as_slice() {
            [source] => Ok(source.clone()),
            _ => Err(miette!(
                help = "`probelab kernels list` shows them",
                "`{name}` must be one kernel"
            )),
        }
    };
    let (good, bad) = (find(good)?.offer, find(bad)?.offer);
    let builds: Vec<Source> = sources
        .iter()
        .filter(|source| source.offer.flavour == good.flavour)
        .cloned()
        .collect();
    let place = |name: &str| builds.iter().position(|source| source.offer.name == name);
    match (place(&good.name), place(&bad.name)) {
        (Some(from), Some(to)) if from < to => Ok(builds[from..=to].to_vec()),
        (Some(_), Some(_)) => Err(miette!(
            help = "the lock lists the builds from old to new",
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
    async fn look(&mut self, build: &Source) -> Result<String> {
        let kernel = self.context.fetch(build).await?;
        let setup = Setup {
            loaders: vec![self.arguments.loader],
            seed: self.arguments.seed,
            jobs: 1,
            take: Take::Nothing,
            ..Setup::of(self.context, self.lab.clone(), vec![kernel])?
        };
        let done = run_all(self.context, &setup, &self.scenarios).await?;
        let done = done
            .first()
            .ok_or_else(|| miette!("nothing ran on {}", build.offer.name))?;
        let shows = self.shown_by(done)?;
        let finding = Finding {
            kernel: build.offer.name.clone(),
            version: build.offer.version.clone(),
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

    fn print(&self, before: &Source, first: &Source) -> Result<()> {
        let (before, first) = (&before.offer, &first.offer);
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
    use std::sync::Arc;

    use vm::{
        Progress,
        kernels::{Kernel, Offer, Provider},
    };

    use super::*;

    /// Offers these names and flavours, and no kernel.
    #[derive(Debug)]
    struct Names(&'static [(&'static str, &'static str)]);

    impl Provider for Names {
        fn offers(&self) -> vm::Result<Vec<Offer>> {
            let offer = |(name, flavour): &(&str, &str)| Offer {
                name: (*name).into(),
                flavour: (*flavour).into(),
                sets: Vec::new(),
                package: "p".into(),
                version: format!("{name}-1"),
                sha256: None,
                stored: false,
            };
            Ok(self.0.iter().map(offer).collect())
        }

        fn kernel(&self, offer: &Offer, _: &Progress) -> vm::Result<Kernel> {
            unreachable!("{} was only chosen", offer.name)
        }

        fn verify(&self, _: &Offer) -> vm::Result<Option<usize>> {
            Ok(None)
        }
    }

    fn sources() -> Vec<Source> {
        let names: Arc<dyn Provider> = Arc::new(Names(&[
            ("6.1.9", "cloud"),
            ("6.1", "cloud"),
            ("6.1-rt", "rt"),
            ("6.12.4", "cloud"),
            ("6.12", "cloud"),
        ]));
        kernels::available(&[names]).unwrap()
    }

    #[test]
    fn builds_between_two_are_of_their_flavour() {
        let names = |builds: Vec<Source>| {
            builds
                .into_iter()
                .map(|build| build.offer.name)
                .collect::<Vec<_>>()
        };
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
            ("6.*", "6.12", "one kernel"),
            ("4.19", "6.12", "no kernel matches"),
        ] {
            let error = between(&sources(), good, bad).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
