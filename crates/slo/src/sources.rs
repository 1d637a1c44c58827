//! What the probes' metrics mean to an objective: which events there are, and which series say what was lost.

use crate::{
    indicator::{Indicator, Measure},
    selector::Selector,
};

const DURATION: &str = "http_server_request_duration_seconds";
const COUNT: &str = "http_server_request_duration_seconds_count";
const STATUS: &str = "http_response_status_code";
const ABORTED: &str = "http_server_requests_aborted_total";

/// Whose metrics begin with what, and what the probe is called in its metrics about itself.
const PROBES: [(&str, &str); 4] = [
    ("http_server_", "http"),
    ("tcp_connect", "connect"),
    ("runq_", "runq"),
    ("xdp_", "blocklist"),
];

/// What an answer with a status of the class 4xx is: the client's mistake, or not to be told from one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientErrors {
    /// A good answer.
    Good,
    /// A bad answer.
    #[default]
    Bad,
    /// No event at all.
    Excluded,
}

/// Answers at most `bound_seconds` after their request, out of all answers.
pub(crate) fn latency(bound_seconds: f64) -> Indicator {
    indicator(Measure::Bucket {
        histogram: Selector::named(DURATION),
        bound: bound_seconds,
        good_is_above: false,
    })
}

/// Good answers out of all requests. 1xx, 2xx and 3xx are good, 5xx is bad, and so is a server that closes the
/// connection instead.
pub(crate) fn availability(client_errors: ClientErrors) -> Indicator {
    let answers = |statuses| Selector::named(COUNT).matching_label(STATUS, statuses);
    let closed_by_server = Selector::named(ABORTED).having("by", "server");
    let (good, all) = match client_errors {
        ClientErrors::Good => ("[1234]..", None),
        ClientErrors::Bad => ("[123]..", None),
        ClientErrors::Excluded => ("[123]..", Some("[^4]..")),
    };
    indicator(Measure::Ratio {
        part: vec![answers(good)],
        part_is_good: true,
        total: vec![all.map_or(Selector::named(COUNT), answers), closed_by_server],
    })
}

/// Adds who says what was lost: the probe behind the measure's metrics, where it is one of ours.
pub(crate) fn indicator(measure: Measure) -> Indicator {
    let measured: Vec<&Selector> = match &measure {
        Measure::Ratio { part, total, .. } => part.iter().chain(total).collect(),
        Measure::Bucket { histogram, .. } => vec![histogram],
    };
    let probe = measured.first().and_then(|selector| probe_of(selector.name()));
    let losses = probe.map(|probe| losses(probe, &measured)).unwrap_or_default();
    let evidence = probe.map(|probe| Selector::named("probelab_attached").having("probe", probe));
    Indicator {
        measure,
        losses,
        evidence,
    }
}

fn probe_of(metric: &str) -> Option<&'static str> {
    PROBES
        .iter()
        .find(|(prefix, _)| metric.starts_with(prefix))
        .map(|(_, probe)| *probe)
}

fn losses(probe: &str, measured: &[&Selector]) -> Vec<Selector> {
    let of_probe = |name| Selector::named(name).having("probe", probe);
    let mut losses = vec![
        // What is missing from a log of single events is counted all the same.
        of_probe("probelab_lost_total").lacking("reason", "exchange_log_full"),
        of_probe("probelab_hits_unaccounted"),
    ];
    let missed = of_probe("probelab_program_missed_total");
    losses.push(match probe {
        // The second of its two programs stands in for the first: only what the second missed can be missing.
        "connect" => missed.having("program", "connect_state_twin"),
        _ => missed,
    });
    if probe == "http" {
        losses.push(Selector::named("http_server_requests_unknown_total"));
        // A client that went away may have done so because it had waited for too long.
        losses.push(Selector::named(ABORTED).having("by", "client"));
    }
    // What an objective counts itself is not lost to it.
    losses.retain(|loss| !measured.iter().any(|selector| selector.overlaps(loss)));
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_program_of_the_connect_probe_missed_is_not_lost() {
        let missed = |probe| -> Vec<String> {
            losses(probe, &[])
                .iter()
                .filter(|loss| loss.name() == "probelab_program_missed_total")
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(
            missed("connect"),
            [r#"probelab_program_missed_total{probe="connect",program="connect_state_twin"}"#]
        );
        assert_eq!(missed("runq"), [r#"probelab_program_missed_total{probe="runq"}"#]);
    }
}
