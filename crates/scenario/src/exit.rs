//! The exit code of a set of judgements.

use crate::{Judgement, Verdict};

/// What the command line exits with. Never a count: a count of 256 would be a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// At least one run passed and none failed.
    Passed = 0,
    /// At least one run failed.
    Failed = 1,
    /// Wrong usage or configuration. Never the outcome of a judgement; the command line gives it.
    Usage = 2,
    /// A run could not be made, or there was nothing to run.
    CouldNotRun = 69,
    /// A guest kernel broke that was not meant to.
    KernelBroke = 255,
}

/// The code of all judgements together. The first that applies wins:
///
/// 1. 255: a guest kernel panicked, oopsed or locked up, and the scenario did not ask for it;
/// 2. 1: a run failed;
/// 3. 69: the lab itself failed, or not one run passed (all skipped, all unsupported, or none at all);
/// 4. 0: all that ran passed, and something ran.
///
/// A failure that is allowed counts as skipped.
pub fn exit_code<'a>(judgements: impl IntoIterator<Item = &'a Judgement>) -> ExitCode {
    let mut has_passed = false;
    let mut worst = ExitCode::Passed;
    for judgement in judgements {
        let code = match judgement.verdict {
            _ if judgement.is_allowed_failure() => ExitCode::Passed,
            _ if judgement.kernel_broke => ExitCode::KernelBroke,
            Verdict::Failed { .. } => ExitCode::Failed,
            Verdict::Infra { .. } => ExitCode::CouldNotRun,
            Verdict::Passed | Verdict::Skipped { .. } | Verdict::Unsupported { .. } => ExitCode::Passed,
        };
        has_passed |= judgement.verdict == Verdict::Passed;
        if precedence(code) > precedence(worst) {
            worst = code;
        }
    }
    if worst == ExitCode::Passed && !has_passed {
        ExitCode::CouldNotRun
    } else {
        worst
    }
}

fn precedence(code: ExitCode) -> u8 {
    match code {
        ExitCode::Passed => 0,
        ExitCode::CouldNotRun => 1,
        ExitCode::Usage => 2,
        ExitCode::Failed => 3,
        ExitCode::KernelBroke => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> u8 {
        let judgement = |name: &&str| {
            let mut judgement = Judgement::infra("no QEMU");
            judgement.verdict = match *name {
                "passed" => Verdict::Passed,
                "failed" | "panic" => Verdict::Failed {
                    reason: String::new(),
                },
                "skipped" => Verdict::Skipped {
                    reason: String::new(),
                },
                "unsupported" => Verdict::Unsupported {
                    code: String::new(),
                    reason: String::new(),
                },
                _ => Verdict::Infra {
                    reason: String::new(),
                },
            };
            judgement.kernel_broke = *name == "panic";
            if let Some(of) = name.strip_prefix("allowed ") {
                judgement = Judgement {
                    verdict: Verdict::Failed {
                        reason: String::new(),
                    },
                    kernel_broke: of == "panic",
                    allowed: Some("known".to_owned()),
                    ..judgement
                };
            }
            judgement
        };
        exit_code(&names.iter().map(judgement).collect::<Vec<_>>()) as u8
    }

    #[test]
    fn nothing_is_never_a_pass() {
        assert_eq!(of(&[]), 69);
        assert_eq!(of(&["skipped"]), 69);
        assert_eq!(of(&["unsupported", "skipped"]), 69);
    }

    #[test]
    fn an_allowed_failure_is_no_failure_and_no_pass() {
        assert_eq!(of(&["allowed failed", "passed"]), 0);
        assert_eq!(of(&["allowed panic", "passed"]), 0);
        assert_eq!(of(&["allowed failed"]), 69);
        assert_eq!(of(&["allowed failed", "failed", "passed"]), 1);
    }

    #[test]
    fn the_worst_wins_in_the_documented_order() {
        assert_eq!(of(&["passed", "skipped", "unsupported"]), 0);
        assert_eq!(of(&["passed", "infra"]), 69);
        assert_eq!(of(&["infra", "failed", "passed"]), 1);
        assert_eq!(of(&["panic", "failed", "infra", "passed"]), 255);
        assert_eq!(of(&["failed"; 256]), 1);
    }
}
