//! A wide matrix with as much to tell in each cell as real runs have.

use std::collections::BTreeMap;

use report::Cell;
use scenario::{ExpectationResult, Judgement, Verdict};
use wire::{GuestEnd, Output, Record};

use super::{passed, record};

const METRICS: &str = include_str!("../../../scenario/tests/fixtures/http-latency/metrics.om");

/// Everything that the cells of a wide matrix borrow.
pub struct Wide {
    kernels: Vec<String>,
    scenarios: Vec<String>,
    records: Vec<Record>,
    judgements: Vec<Judgement>,
    probes: Vec<String>,
    replay: String,
}

impl Wide {
    /// So many kernels and scenarios; every 17th run fails, one of them by the verifier's word.
    pub fn new(kernels: usize, scenarios: usize) -> Self {
        let kernels: Vec<String> = (0..kernels).map(|index| format!("6.{index}")).collect();
        let scenarios: Vec<String> = (0..scenarios)
            .map(|index| {
                format!(
                    "{}-latency-{index}",
                    if index % 2 == 0 { "http" } else { "connect" }
                )
            })
            .collect();
        let records = kernels.iter().map(|kernel| full_record(kernel)).collect();
        let judgements = (0..kernels.len() * scenarios.len()).map(judgement).collect();
        Self {
            kernels,
            scenarios,
            records,
            judgements,
            probes: vec!["HttpProbe".to_owned()],
            replay: "probelab replay records/http-latency-6.12-virtual-aya-1.json".to_owned(),
        }
    }

    /// The cells, kernel by kernel.
    pub fn cells(&self) -> Vec<Cell<'_>> {
        let place = |index: usize| (index / self.scenarios.len(), index % self.scenarios.len());
        self.judgements
            .iter()
            .enumerate()
            .map(|(index, judgement)| Cell {
                scenario: &self.scenarios[place(index).1],
                kernel: &self.kernels[place(index).0],
                loader: Some(wire::Loader::Aya),
                probes: &self.probes,
                record: Some(&self.records[place(index).0]),
                judgement,
                replay: Some(&self.replay),
            })
            .collect()
    }
}

fn full_record(kernel: &str) -> Record {
    let hits: String = (0..12)
        .map(|index| format!("probelab_hits_total{{probe=\"http\",verdict=\"recorded\",reason=\"reason-{index}\"}} {index}\n"))
        .collect();
    let metrics = METRICS.replace(
        "# EOF",
        &format!("# HELP probelab_hits Runs.\n# TYPE probelab_hits counter\n{hits}# EOF"),
    );
    Record {
        end: GuestEnd::Completed,
        outputs: BTreeMap::from([("metrics".to_owned(), Output(metrics.into_bytes()))]),
        console: (0..400)
            .map(|line| {
                format!("[   {line:2}.123456] systemd-less guest <says> line {line} of its console & more\n")
            })
            .collect(),
        ..record(kernel, None)
    }
}

fn judgement(index: usize) -> Judgement {
    let evidence = "4 groups equal in probe and server: http_request_method=GET,http_response_status_code=200: 1711; \
                    http_request_method=GET,http_response_status_code=500: 13";
    let result = |name: &str| ExpectationResult {
        name: format!("{name}: probe = server"),
        held: !index.is_multiple_of(17),
        must_fail: false,
        compared: 1724,
        evidence: evidence.to_owned(),
    };
    let results = ["counts", "times", "bytes", "outcomes", "every hit accounted for"];
    let verdict = match index {
        0 => Verdict::Failed {
            reason: "step `probe` failed: cannot load http: Permission denied (os error 13): … 90 lines … | \
                     7: (61) r1 = *(u32 *)(r2 +0) | R2 invalid mem access 'scalar'"
                .to_owned(),
        },
        _ if index.is_multiple_of(17) => Verdict::Failed {
            reason: "5 expectations did not hold".to_owned(),
        },
        _ => Verdict::Passed,
    };
    Judgement {
        verdict,
        results: results.map(result).into(),
        ..passed()
    }
}
