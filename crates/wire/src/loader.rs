//! The loaders: which library brings the probes' programs into the kernel.

use serde::{Deserialize, Serialize};

/// Which library the probe daemon loads its programs with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Loader {
    /// libbpf, the kernel's own library, in C.
    Libbpf,
    /// aya, in Rust.
    #[default]
    Aya,
}

impl Loader {
    /// Both, in the order in which they are run and shown.
    pub const ALL: [Self; 2] = [Self::Libbpf, Self::Aya];

    /// Its name, as `probed --loader` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Loader::Libbpf => "libbpf",
            Loader::Aya => "aya",
        }
    }
}

impl std::fmt::Display for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Loader {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|loader| loader.name() == name)
            .ok_or_else(|| format!("there is no loader `{name}`: libbpf or aya"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_name_that_the_daemon_takes() {
        for loader in Loader::ALL {
            assert_eq!(serde_json::to_value(loader).unwrap(), loader.name());
        }
    }
}
