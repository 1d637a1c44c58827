//! One reading of all counters that objectives need, and when it was made.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use exposition::Unreadable;

use crate::{Objective, duration::Milliseconds, selector::Selector};

/// Which series it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// When the process that counts was started, in seconds since 1970: the name Prometheus' own clients give it.
const PROCESS_START: &str = "process_start_time_seconds";
/// Ends the name of a series that says when a counter began.
const CREATED: &str = "_created";
/// Series that only rise while their process lives end in one of these.
const RISING: [&str; 4] = ["_total", "_count", "_bucket", "_sum"];

/// The names of the series that some objectives need; everything else is not kept.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// What these objectives need.
    pub fn of<'a>(objectives: impl IntoIterator<Item = &'a Objective>) -> Self {
        let mut names = BTreeSet::from([PROCESS_START.to_owned()]);
        for objective in objectives {
            for name in objective.indicator.names() {
                names.insert(format!("{}{CREATED}", family(&name)));
                names.insert(name);
            }
        }
        Self(names)
    }

    /// The lines of these families. The rest of a daemon's exposition is many times longer, and reading it each second
    /// would cost more than the probes do. A line that is no sample stays, so that it is complained about. A line that
    /// is left out leaves an empty one, so that complaints count lines as the whole text does.
    fn relevant(&self, text: &str) -> String {
        let families: BTreeSet<&str> = self.0.iter().map(|name| family(name)).collect();
        let is_wanted = |name: &str| families.contains(name) || families.contains(family(name));
        let mut relevant = String::new();
        for line in text.lines() {
            let announced = line
                .strip_prefix("# TYPE ")
                .and_then(|rest| rest.split(' ').next());
            let keep = match announced {
                Some(name) => is_wanted(name),
                None if line.starts_with("# HELP ") || line.starts_with("# UNIT ") => false,
                None => sampled(line).is_none_or(is_wanted),
            };
            if keep {
                relevant.push_str(line);
            }
            relevant.push('\n');
        }
        relevant
    }
}

/// The name of the family that a series belongs to.
fn family(name: &str) -> &str {
    let ends = RISING.iter().chain([&CREATED]);
    ends.into_iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}

/// The name of the series, if a line is a sample.
fn sampled(line: &str) -> Option<&str> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    let name = line.split(|letter| !is_of_name(letter)).next()?;
    let after = line[name.len()..].chars().next()?;
    let ends_with_number = line.rsplit(' ').next()?.parse::<f64>().is_ok();
    (!name.is_empty() && " {".contains(after) && ends_with_number).then_some(name)
}

/// A reading. Only what [`Names`] asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    /// When, in milliseconds since 1970.
    pub time_ms: Milliseconds,
    /// Sorted by series.
    pub(crate) points: Vec<(Arc<Key>, f64)>,
}

impl Scrape {
    /// Reads an exposition. `now_ms` is when it was made, unless the text says so itself.
    ///
    /// # Errors
    /// When the text is no metrics.
    pub fn read(text: &str, now_ms: Milliseconds, names: &Names) -> Result<Self, Unreadable> {
        let mut time_ms = None;
        let mut points = BTreeMap::new();
        if text.trim().is_empty() {
            return Err(Unreadable("the text is empty".to_owned()));
        }
        for sample in exposition::samples(&names.relevant(text))? {
            let seconds = sample.timestamp_seconds;
            time_ms = time_ms.max(seconds.map(|seconds| (seconds * 1e3).round() as Milliseconds));
            let series = sample.series;
            if let Some(created_seconds) = sample.created_seconds {
                let name = format!("{}{CREATED}", family(&series.name));
                let mut labels = series.labels.clone();
                labels.remove("le");
                points.insert(Key { name, labels }, created_seconds);
            }
            let (name, labels) = (series.name, series.labels);
            points.insert(Key { name, labels }, series.value);
        }
        points.retain(|key, _| names.0.contains(&key.name));
        Ok(Self {
            time_ms: time_ms.unwrap_or(now_ms),
            points: points
                .into_iter()
                .map(|(key, value)| (Arc::new(key), value))
                .collect(),
        })
    }

    /// Lets equal keys be stored once.
    pub(crate) fn share_keys(&mut self, other: &Self) {
        for (key, _) in &mut self.points {
            if let Ok(at) = other.find(key) {
                *key = Arc::clone(&other.points[at].0);
            }
        }
    }

    fn find(&self, key: &Key) -> Result<usize, usize> {
        self.points.binary_search_by(|(own, _)| own.as_ref().cmp(key))
    }

    /// The value of a series, if it is there.
    pub(crate) fn value(&self, key: &Key) -> Option<f64> {
        self.find(key).ok().map(|at| self.points[at].1)
    }

    /// The series that are meant, with their values.
    pub(crate) fn select<'a>(&'a self, selector: &'a Selector) -> impl Iterator<Item = (&'a Key, f64)> {
        let points = self.points.iter().map(|(key, value)| (key.as_ref(), *value));
        points.filter(|(key, _)| selector.matches(key))
    }

    /// Whether the process that counts was started again since `earlier`. One counter that fell, or that began later,
    /// tells it for all of them, also for those that are past their old value already.
    pub(crate) fn is_restarted_since(&self, earlier: &Self) -> bool {
        earlier.points.iter().any(|(key, before)| {
            let Some(now) = self.value(key) else {
                return false;
            };
            let is_start = key.name == PROCESS_START || key.name.ends_with(CREATED);
            let is_rising = RISING.iter().any(|end| key.name.ends_with(end));
            (is_start && now > *before) || (is_rising && now < *before)
        })
    }
}
