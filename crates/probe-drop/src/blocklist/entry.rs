//! One entry of the list: a prefix and what is done with its packets.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::types::{BLOCKLIST_ACTION_DROP, BLOCKLIST_ACTION_PASS, BLOCKLIST_ACTION_TX};

/// What is done with packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// They vanish.
    #[default]
    Drop,
    /// They go back out of the interface they came in by.
    Tx,
    /// They pass, though a shorter prefix may say otherwise.
    Pass,
}

impl Action {
    /// As manifests, lists and metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Tx => "tx",
            Self::Pass => "pass",
        }
    }

    /// As the kernel half calls it (`enum blocklist_action`).
    pub(super) fn number(self) -> u8 {
        // The enumeration has three values.
        let number = match self {
            Self::Drop => BLOCKLIST_ACTION_DROP,
            Self::Tx => BLOCKLIST_ACTION_TX,
            Self::Pass => BLOCKLIST_ACTION_PASS,
        };
        number as u8
    }
}

/// An address prefix without bits beyond its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Prefix(pub IpNet);

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let prefix = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| {
                format!("{text:?} is no prefix; write it like 10.0.0.0/8, fd00::/8 or 10.0.0.1")
            })?,
        };
        let whole = prefix.trunc();
        if whole == prefix {
            Ok(Self(prefix))
        } else {
            Err(format!(
                "{text} has bits beyond its length; did you mean {whole}?"
            ))
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry, as a manifest writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Entry {
    /// Whose packets.
    pub prefix: Prefix,
    /// What is done with them.
    #[serde(default)]
    pub action: Action,
    /// Only count them.
    #[serde(default)]
    pub shadow: bool,
    /// For how long, in seconds; for good when it is not said.
    #[serde(default)]
    pub ttl_seconds: Option<u32>,
}

impl Entry {
    /// Whether its values are in their ranges.
    ///
    /// # Errors
    /// What is not, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.ttl_seconds == Some(0) {
            return Err(format!(
                "{} would never be in force: its time to live is 0",
                self.prefix
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_whole_or_refused() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00::/8", "fd00::/8"),
            ("fd00::1", "fd00::1/128"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1/128"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), shown);
        }
        for (text, word) in [
            ("10.1.2.3/8", "did you mean 10.0.0.0/8"),
            ("10.0.0.0/33", "is no prefix"),
            ("10.0.0", "is no prefix"),
            ("", "is no prefix"),
            ("fd00::1/64", "did you mean fd00::/64"),
        ] {
            let error = text.parse::<Prefix>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
