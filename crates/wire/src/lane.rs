//! The lanes: where a run happens, and so what its numbers mean.

use serde::{Deserialize, Serialize};

/// Where a run happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// TCG with instruction counting: deterministic, one guest instruction is one nanosecond of guest time.
    Virtual,
    /// Hardware virtualisation: real time, never snapshotted.
    Kvm,
    /// This machine's own kernel, in fresh namespaces: real time, never snapshotted.
    Host,
}

impl Lane {
    /// Whether two runs with equal inputs must give equal digests.
    pub fn is_deterministic(self) -> bool {
        self == Lane::Virtual
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Lane::Virtual => "virtual",
            Lane::Kvm => "kvm",
            Lane::Host => "host",
        })
    }
}

impl std::str::FromStr for Lane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "virtual" => Ok(Lane::Virtual),
            "kvm" => Ok(Lane::Kvm),
            "host" => Ok(Lane::Host),
            other => Err(format!("unknown lane `{other}`: use virtual, kvm or host")),
        }
    }
}
