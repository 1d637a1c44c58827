//! Why a stage or a job ended early, with what had been collected until then.

use wire::GuestEnd;

use crate::Collected;

/// An early end.
#[derive(Debug)]
pub struct Failure {
    /// What the record will say.
    pub end: GuestEnd,
    /// Outputs collected in spite of it.
    pub outputs: Collected,
}

/// A failed step with its whole chain of reasons.
pub fn failed(step: &str, error: &anyhow::Error) -> Failure {
    Failure {
        end: GuestEnd::StepFailed {
            step: step.to_owned(),
            reason: format!("{error:#}"),
        },
        outputs: Vec::new(),
    }
}

/// A workload that never answered.
pub fn not_ready(workload: &str, reason: String) -> Failure {
    Failure {
        end: GuestEnd::NotReady {
            workload: workload.to_owned(),
            reason,
        },
        outputs: Vec::new(),
    }
}

/// Names the step of an error.
pub trait InStep<T> {
    /// The value, or the failure of `step`.
    fn in_step(self, step: &str) -> Result<T, Failure>;
}

impl<T> InStep<T> for anyhow::Result<T> {
    fn in_step(self, step: &str) -> Result<T, Failure> {
        self.map_err(|error| failed(step, &error))
    }
}
