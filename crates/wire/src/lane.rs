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
    /// The kernel of another machine that already runs, through `ssh`: real time, never snapshotted.
    Ssh,
}

impl Lane {
    /// Whether two runs with equal inputs must give equal digests.
    pub fn is_deterministic(self) -> bool {
        self == Lane::Virtual
    }

    /// Whether runs are on a kernel that others use, too: nothing may break it, and everything is put back.
    pub fn is_shared(self) -> bool {
        matches!(self, Lane::Host | Lane::Ssh)
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Lane::Virtual => "virtual",
            Lane::Kvm => "kvm",
            Lane::Host => "host",
            Lane::Ssh => "ssh",
        })
    }
}
