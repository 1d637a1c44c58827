//! What a reader of an evaluation has to know to believe its numbers, in words.

use crate::{Objective, counts::Counts, duration, scrape::Scrape, window::Window};

/// The notes of one evaluation.
pub(crate) fn notes(
    objective: &Objective,
    scrapes: &[&Scrape],
    window: Option<Window>,
    events: Counts,
) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(window) = window else {
        notes.push("there are not two readings in the window yet".to_owned());
        return notes;
    };
    let covered_ms = window.to_ms - window.from_ms;
    let short_by = objective.window_ms - covered_ms;
    // An edge is at most half a step off; more than a twentieth is a history that does not reach back.
    if short_by * 20 > objective.window_ms {
        notes.push(format!(
            "the readings cover {} of {}",
            duration::text(covered_ms),
            duration::text(objective.window_ms)
        ));
    }
    if window.restarts > 0 {
        notes.push(format!(
            "the process that counts was started again {} in the window; what it had counted since the reading before \
             is gone",
            times(window.restarts)
        ));
    }
    if let Some(last) = scrapes.last() {
        if !objective.indicator.is_observed(last) {
            notes.push(match &objective.indicator.evidence {
                Some(evidence) => format!("no probe is in place: `{evidence}` is not 1"),
                None => "none of its series is there".to_owned(),
            });
        }
        if let Some(gap) = objective.indicator.imprecision(last) {
            notes.push(format!(
                "{bound} is no bound of the histogram, so what lies between {below} and {above} is unknown; an HttpProbe \
                 gets it by `bucketBoundsSeconds: [{bound}]` in its manifest",
                bound = gap.bound,
                below = gap.below,
                above = gap.above
            ));
        }
    }
    if objective.indicator.evidence.is_none() {
        notes.push("nothing is known about losses of this source".to_owned());
    }
    if events.unknown > 0 {
        notes.push(format!(
            "{} of up to {} events are unknown",
            events.unknown,
            events.all()
        ));
    }
    notes
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
