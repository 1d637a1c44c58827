//! What a manifest says about a blocklist.

use std::{path::PathBuf, time::Duration};

use probe::{
    Failure, Probe,
    interface::Interface,
    loader::{Loader, XdpMode},
    range::at_least_1,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Blocklist,
    entry::Entry,
    kernel::{Config, Kernel},
    list_file::{Entries, ListFile},
};

/// What a blocklist watches and does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// The network interface whose arriving frames are judged, in the daemon's network namespace.
    pub interface: String,
    /// Where the program runs.
    #[serde(default)]
    pub mode: Mode,
    /// Which address of a frame decides.
    #[serde(default, rename = "match")]
    pub matched: Match,
    /// Entries that are in force as long as the daemon runs.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// A file with more entries, one a line; read again when it changes.
    pub list_file: Option<PathBuf>,
    /// How many entries there can be, those of the manifest and of the file together.
    #[serde(default = "default_max_entries")]
    pub max_entries: u32,
    /// Only count, whatever an entry says.
    #[serde(default)]
    pub shadow: bool,
    /// What is done with frames whose address cannot be read.
    #[serde(default)]
    pub unreadable: Policy,
    /// What is done with frames that carry more than two VLAN tags.
    #[serde(default)]
    pub deep_tags: Policy,
    /// What is done with ARP and neighbour discovery.
    #[serde(default)]
    pub neighbours: Neighbours,
    /// Take frames that need several buffers, as large MTUs do; from Linux 5.18 on.
    #[serde(default)]
    pub jumbo: bool,
    /// A file to make in a BPF filesystem, such as `/sys/fs/bpf/blocklist`. It keeps the list as it was last in force when
    /// the daemon ends, however it ends; the next one takes over without a gap, and counts from 0. Removing the file lets
    /// everything pass.
    pub keep_in: Option<PathBuf>,
    /// How often the file is looked at and entries that have ended are taken out, in seconds.
    #[serde(default = "default_check_seconds")]
    pub check_seconds: u32,
    /// For the lab only: run a probe that is known to be wrong.
    pub control: Option<Control>,
}

/// Where an XDP program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In the driver, before the network stack spends anything on a frame. Not every driver can.
    #[default]
    Native,
    /// Behind the driver, on every interface.
    Generic,
}

/// Which address decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// Where a frame comes from.
    #[default]
    Source,
    /// Where it goes to.
    Destination,
}

/// What is done with frames that no entry can speak about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// They pass: a list that cannot read a frame has nothing against it.
    #[default]
    Pass,
    /// They are dropped.
    Drop,
}

/// What is done with the messages that keep a link alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Neighbours {
    /// They pass whatever the list says.
    #[default]
    Pass,
    /// They are matched like everything else.
    Match,
}

/// Known mistakes a lab can turn on to see that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Frames with a VLAN tag slip through.
    UntaggedOnly,
    /// A frame that cannot be read is aborted, and so dropped.
    AbortOnError,
    /// Entries that should only count do what they say.
    ShadowDrops,
}

fn default_max_entries() -> u32 {
    4096
}

fn default_check_seconds() -> u32 {
    1
}

/// More entries than any host's memory holds counters for are a slip of the pen.
const MOST_ENTRIES: u32 = 1 << 22;

impl Spec {
    fn config(&self, interface: Interface) -> Config {
        Config {
            interface,
            mode: match self.mode {
                Mode::Native => XdpMode::Native,
                Mode::Generic => XdpMode::Generic,
            },
            destination: self.matched == Match::Destination,
            match_neighbours: self.neighbours == Neighbours::Match,
            drop_unreadable: self.unreadable == Policy::Drop,
            drop_deep_tags: self.deep_tags == Policy::Drop,
            jumbo: self.jumbo,
            max_entries: self.max_entries,
            keep_in: self.keep_in.clone(),
            control: self.control,
        }
    }

    fn entries(&self) -> Result<Entries, String> {
        let mut entries = Entries::new();
        for entry in &self.entries {
            entry.check()?;
            if entries.insert(entry.prefix, *entry).is_some() {
                return Err(format!("`entries` holds {} twice", entry.prefix));
            }
        }
        Ok(entries)
    }
}

impl probe::Spec for Spec {
    fn check(&self) -> Result<(), String> {
        if !(1..=MOST_ENTRIES).contains(&self.max_entries) {
            return Err(format!("`maxEntries` must be between 1 and {MOST_ENTRIES}"));
        }
        at_least_1("checkSeconds", self.check_seconds)?;
        let entries = self.entries()?.len();
        if entries > self.max_entries as usize {
            return Err(format!(
                "`entries` holds {entries}, and `maxEntries` is {}",
                self.max_entries
            ));
        }
        Ok(())
    }

    fn control(&self) -> Option<&str> {
        self.control.map(|control| match control {
            Control::UntaggedOnly => "untagged-only",
            Control::AbortOnError => "abort-on-error",
            Control::ShadowDrops => "shadow-drops",
        })
    }

    fn start(&self, loader: Loader) -> Result<Box<dyn Probe>, Failure> {
        let config = self.config(Interface::by_name(&self.interface)?);
        let kernel = Kernel::load(loader, config)?;
        let file = self.list_file.as_deref().map(ListFile::new);
        let mut blocklist = Blocklist::new(kernel, self.entries()?, self.shadow, file)?;
        blocklist.check_interval = Duration::from_secs(self.check_seconds.into());
        blocklist.attach()?;
        Ok(Box::new(blocklist))
    }
}
