//! What the tests share: the published example, and expositions made of numbers.

#![allow(dead_code, reason = "each test file uses a part of it")]

use slo::{ClientErrors, History, Names, Objective, Scrape};

/// A published example of the dialect `reliably.com/v1`, unmodified.
pub const RELIABLY: &str = include_str!("../../../../scenarios/slo-http/reliably.yaml");

pub const OPENSLO: &str = include_str!("../fixtures/openslo.yaml");

pub fn parse(text: &str) -> Vec<Objective> {
    slo::parse(text, ClientErrors::default()).unwrap()
}

/// What an HTTP probe has counted so far.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// Answers with status 200 within 100 ms, between 100 ms and the 150 ms bound, up to 250 ms, and slower.
    pub ok: [u64; 4],
    /// Fast answers with status 500.
    pub failed: u64,
    pub unknown: u64,
    pub lost: u64,
    pub aborted_by_server: u64,
    pub has_bound: bool,
    pub is_gone: bool,
}

impl Probe {
    pub fn ok(fast: u64) -> Self {
        Self {
            ok: [fast, 0, 0, 0],
            has_bound: true,
            ..Self::default()
        }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        let answers = [("200", self.ok), ("500", [self.failed, 0, 0, 0])];
        if answers.iter().any(|(_, counts)| counts.iter().sum::<u64>() > 0) {
            text += "# TYPE http_server_request_duration_seconds histogram\n";
        }
        for (status, counts) in answers
            .iter()
            .filter(|(_, counts)| counts.iter().sum::<u64>() > 0)
        {
            let labels = format!("http_request_method=\"GET\",http_response_status_code=\"{status}\"");
            let mut cumulated = 0;
            for (bound, count) in ["0.1", "0.15", "0.25", "+Inf"].iter().zip(counts) {
                cumulated += count;
                if *bound != "0.15" || self.has_bound {
                    let name = "http_server_request_duration_seconds_bucket";
                    text += &format!("{name}{{le=\"{bound}\",{labels}}} {cumulated}\n");
                }
            }
            text += &format!("http_server_request_duration_seconds_count{{{labels}}} {cumulated}\n");
            text += &format!("http_server_request_duration_seconds_sum{{{labels}}} 1.5\n");
        }
        text += "# TYPE http_server_requests_unknown counter\n";
        text += &format!(
            "http_server_requests_unknown_total{{reason=\"gap\"}} {}\n",
            self.unknown
        );
        text += "# TYPE http_server_requests_aborted counter\n";
        text += &format!(
            "http_server_requests_aborted_total{{by=\"server\"}} {}\n",
            self.aborted_by_server
        );
        text += "# TYPE probelab_lost counter\n";
        text += &format!(
            "probelab_lost_total{{probe=\"http\",reason=\"ring_full\"}} {}\n",
            self.lost
        );
        text += "probelab_lost_total{probe=\"http\",reason=\"exchange_log_full\"} 1000\n";
        text += "probelab_lost_total{probe=\"runq\",reason=\"ring_full\"} 1000\n";
        text += "# TYPE probelab_attached gauge\n";
        text += &format!(
            "probelab_attached{{hook=\"socket:lo\",probe=\"http\"}} {}\n",
            u8::from(!self.is_gone)
        );
        text + "# EOF\n"
    }
}

/// A history of readings at these seconds.
pub fn history(objectives: &[Objective], readings: &[(f64, Probe)]) -> History {
    let names = Names::of(objectives);
    let mut history = History::new(3_600_000, 1);
    for (seconds, probe) in readings {
        let time_ms = 1_700_000_000_000 + (seconds * 1e3) as i64;
        history.push(Scrape::read(&probe.text(), time_ms, &names).unwrap());
    }
    history
}
