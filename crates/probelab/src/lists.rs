//! Lists of cells in the manner of the kernel's BPF CI: a line per `scenario[@kernel][# reason]`, `*` for anything,
//! `#` alone begins a comment. A denied cell is not run; an allowed one may fail.

use std::path::Path;

use miette::{IntoDiagnostic, Result, WrapErr, miette};
use vm::kernels::matches;

use crate::{cells::Done, open::Context};

/// A list.
#[derive(Debug, Default)]
pub struct List {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// File and line.
    place: String,
    scenario: String,
    kernel: Option<String>,
    reason: Option<String>,
}

impl Entry {
    fn fits(&self, scenario: &str, series: &str) -> bool {
        matches(&self.scenario, scenario) && self.kernel.as_ref().is_none_or(|kernel| matches(kernel, series))
    }

    /// The reason and where it is written.
    fn words(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{reason} ({})", self.place),
            None => self.place.clone(),
        }
    }
}

impl List {
    /// The given file, or the one of this name beside the scenarios; a list of nothing when there is none.
    /// An entry that fits no scenario on any kernel is told.
    pub fn open(context: &Context, name: &str, given: Option<&Path>) -> Result<Self> {
        let usual = context.project.path("scenarios").join(name);
        let path = match given {
            Some(path) => path,
            None if usual.is_file() => &usual,
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path)
            .into_diagnostic()
            .wrap_err_with(|| path.display().to_string())?;
        let list = Self::parse(&path.display().to_string(), &text)?;
        let sources = context.all_sources()?;
        let scenarios = context.project.scenario_names()?;
        for place in list.fitting_nothing(&scenarios, sources.iter().map(vm::kernels::Source::name)) {
            context
                .progress
                .notice(name, format!("{place} fits no scenario on any kernel"));
        }
        Ok(list)
    }

    /// Reads the text of a list.
    fn parse(file: &str, text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{file}:{}", index + 1);
            let (what, reason) = match line.split_once('#') {
                Some((what, reason)) => (what.trim(), Some(reason.trim().to_owned())),
                None => (line.trim(), None),
            };
            if what.is_empty() {
                continue;
            }
            let (scenario, kernel) = match what.split_once('@') {
                Some((scenario, kernel)) => (scenario, Some(kernel)),
                None => (what, None),
            };
            let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
            if !is_name(scenario) || !kernel.is_none_or(is_name) {
                return Err(miette!(
                    help = "a line is SCENARIO, SCENARIO@KERNEL or either with `# REASON`, such as: http-*@5.10 # no BTF",
                    "{place}: `{what}` is no entry of a list"
                ));
            }
            entries.push(Entry {
                place,
                scenario: scenario.to_owned(),
                kernel: kernel.map(str::to_owned),
                reason: reason.filter(|reason| !reason.is_empty()),
            });
        }
        Ok(Self { entries })
    }

    /// Why a cell is on the list, if it is.
    pub fn reason(&self, scenario: &str, series: &str) -> Option<String> {
        let entry = self.entries.iter().find(|entry| entry.fits(scenario, series))?;
        Some(entry.words())
    }

    /// Marks the runs that may fail.
    pub fn allow(&self, done: &mut [Done]) {
        for done in done {
            done.judgement.allowed = self.reason(&done.scenario, done.kernel.trim_end_matches('*'));
        }
    }

    fn fitting_nothing<'a>(
        &self,
        scenarios: &[String],
        series: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<&str> {
        let fits_any = |entry: &&Entry| {
            scenarios
                .iter()
                .any(|scenario| series.clone().any(|series| entry.fits(scenario, series)))
        };
        let nothing = self.entries.iter().filter(|entry| !fits_any(entry));
        nothing.map(|entry| entry.place.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# not yet\n\nhttp-*@5.10 # no ring buffer # really\ncanary@6.1\n  peers  \nhttp-gone@9.9#never\n";

    #[test]
    fn the_first_entry_that_fits_gives_the_reason() {
        let list = List::parse("DENYLIST", TEXT).unwrap();
        let reason = |scenario, series| list.reason(scenario, series);
        assert_eq!(
            reason("http-cost", "5.10").as_deref(),
            Some("no ring buffer # really (DENYLIST:3)")
        );
        assert_eq!(reason("http-cost", "5.1"), None);
        assert_eq!(reason("canary", "6.1").as_deref(), Some("DENYLIST:4"));
        assert_eq!(reason("canary", "6.12"), None);
        assert_eq!(reason("peers", "7.2").as_deref(), Some("DENYLIST:5"));
    }

    #[test]
    fn an_entry_that_fits_nothing_is_found() {
        let list = List::parse("DENYLIST", TEXT).unwrap();
        let scenarios = ["http-cost", "canary", "peers"].map(str::to_owned);
        assert_eq!(
            list.fitting_nothing(&scenarios, ["5.10", "6.1"].into_iter()),
            ["DENYLIST:6"]
        );
        assert_eq!(
            list.fitting_nothing(&scenarios, ["5.10"].into_iter()),
            ["DENYLIST:4", "DENYLIST:6"]
        );
    }

    #[test]
    fn what_is_no_entry_is_an_error_with_its_place() {
        for (text, place) in [("canary\n@6.1", ":2"), ("canary@ # x", ":1"), ("two words", ":1")] {
            let error = List::parse("ALLOWLIST", text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("ALLOWLIST{place}: ")), "{error}");
        }
    }
}
