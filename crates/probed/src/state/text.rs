//! What the commands print: a window in a line or as JSON, a model as a table.

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;
use sysstate::{Classified, Cluster, Course, Model, Verdict};

use super::live::Seen;

/// How many features a line names.
const NAMED: usize = 2;

/// A window for programs.
#[derive(Serialize)]
struct WindowLine<'a> {
    from_seconds: f64,
    to_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_to_limit: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    movers: Vec<MoverLine>,
}

#[derive(Serialize)]
struct MoverLine {
    feature: &'static str,
    value: f64,
    usual: f64,
    share: f64,
}

fn classified(seen: &Seen) -> Option<&Classified> {
    match seen.verdict.as_ref()? {
        Verdict::Measured(classified) => Some(classified),
        Verdict::Missing(_) => None,
    }
}

/// A window as a JSON object in one line; nothing for a gap.
pub fn json(seen: &Seen) -> Option<String> {
    let window = seen.window.as_ref().ok()?;
    let classified = classified(seen);
    let seconds_to_limit = match seen.course {
        Some(Course::Warning { windows_to_limit }) => {
            Some(windows_to_limit * (window.to_seconds - window.from_seconds))
        }
        _ => None,
    };
    let line = WindowLine {
        from_seconds: window.from_seconds,
        to_seconds: window.to_seconds,
        state: seen.verdict.as_ref().map(|verdict| verdict.state().name()),
        cluster: classified.map(|classified| classified.cluster.as_str()),
        distance_ratio: classified.map(|classified| classified.distance_ratio),
        traffic: seen.course.map(Course::name),
        seconds_to_limit,
        movers: classified
            .iter()
            .flat_map(|classified| &classified.movers)
            .map(|mover| MoverLine {
                feature: mover.feature.name,
                value: mover.value,
                usual: mover.usual,
                share: mover.share,
            })
            .collect(),
    };
    // Numbers and words under fixed names: JSON can say all of it.
    serde_json::to_string(&line).ok()
}

/// A window in words.
pub fn line(seen: &Seen) -> String {
    let window = match &seen.window {
        Ok(window) => window,
        Err(gap) => return format!("no window: {gap}"),
    };
    let mut words = vec![format!("{:.1} s", window.to_seconds)];
    match &seen.verdict {
        Some(Verdict::Measured(classified)) => words.push(state(classified)),
        Some(Verdict::Missing(feature)) => words.push(format!("unknown: {} was not measured", feature.name)),
        None => {}
    }
    match seen.course {
        Some(Course::Warning { windows_to_limit }) => {
            let seconds = windows_to_limit * (window.to_seconds - window.from_seconds);
            words.push(format!("traffic builds up: at its limit in {seconds:.0} s"));
        }
        Some(Course::Over) => words.push("traffic is over its limit".to_owned()),
        Some(Course::Calm) | None => {}
    }
    words.join("  ")
}

fn state(classified: &Classified) -> String {
    let mut words = format!(
        "{} ({}{}, distance {:.2})",
        classified.state.name(),
        if classified.distance_ratio > 1.0 {
            "nearest "
        } else {
            ""
        },
        classified.cluster,
        classified.distance_ratio
    );
    if classified.state != sysstate::State::Good {
        for mover in classified
            .movers
            .iter()
            .take(NAMED)
            .filter(|mover| mover.share > 0.1)
        {
            let name = mover.feature.name;
            words += &format!(
                "; {name} {}, usually {}",
                number(mover.value),
                number(mover.usual)
            );
        }
    }
    words
}

/// The clusters of a model, in the features' own units.
pub fn table(model: &Model) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    let mut header = vec!["state".to_owned(), "cluster".to_owned(), "windows".to_owned()];
    header.extend(model.features.iter().map(|(feature, _)| feature.name.to_owned()));
    table.set_header(header);
    for cluster in &model.clusters {
        table.add_row(row(model, cluster));
    }
    format!(
        "{} features in windows of {} s; a cluster's usual values:\n{table}\n",
        model.features.len(),
        number(model.window_seconds)
    )
}

fn row(model: &Model, cluster: &Cluster) -> Vec<String> {
    let windows = if cluster.named == cluster.windows {
        cluster.windows.to_string()
    } else {
        format!(
            "{} ({} of other names)",
            cluster.windows,
            cluster.windows - cluster.named
        )
    };
    let mut row = vec![cluster.worth.name().to_owned(), cluster.name.clone(), windows];
    let values = model.features.iter().zip(&cluster.centre);
    row.extend(values.map(|((_, scaling), centre)| number(scaling.unscaled(*centre))));
    row
}

/// Three figures are enough for people.
fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 {
        format!("{value:.2e}")
    } else if value.abs() < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
