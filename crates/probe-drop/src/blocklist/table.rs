//! Which entries are in force, kept in step with what is wanted while packets flow.
//!
//! New entries go in before old ones come out, as long as there is room, so that a list that is rearranged has no moment
//! without either.

use std::collections::{BTreeMap, VecDeque};

use probe::maps::MapError;

use super::{
    entry::{Action, Entry, Prefix},
    kernel::{Count, Kernel, slots},
    list_file::Entries,
};

/// Why a list is not in force as it stands.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Nothing of it was put in force.
    #[error(
        "{entries} entries are more than maxEntries, which is {max_entries}; the entries before stay in force"
    )]
    TooMany {
        /// How many there are.
        entries: usize,
        /// How many there may be.
        max_entries: u32,
    },
    /// A part of it may be in force.
    #[error("cannot write entry {prefix}: {source}")]
    Write {
        /// Which entry.
        prefix: Prefix,
        /// What the kernel said.
        source: MapError,
    },
    /// The counters of an entry that is gone cannot be read or cleared.
    #[error("cannot use a BPF map: {0}")]
    Map(#[from] MapError),
}

/// What the counters of entries are told apart by, beside their prefix.
pub type Kind = (Action, bool);

/// An entry of the list that was wanted last.
#[derive(Debug, Clone, Copy)]
struct Known {
    entry: Entry,
    /// Where it is counted and when it ends (0: never); nothing once it has ended.
    in_force: Option<(u32, u64)>,
}

/// The entries and their counters.
#[derive(Debug)]
pub struct Table {
    max_entries: u32,
    known: BTreeMap<Prefix, Known>,
    free: VecDeque<u32>,
    /// Slots of entries that are gone, to rest until the next sweep: a packet may be on its way to one.
    resting: VecDeque<(u32, Kind)>,
    gone: BTreeMap<Kind, Count>,
    expired: u64,
}

impl Table {
    /// An empty table.
    pub fn new(max_entries: u32) -> Self {
        Self {
            max_entries,
            known: BTreeMap::new(),
            free: (0..slots(max_entries)).collect(),
            resting: VecDeque::new(),
            gone: BTreeMap::new(),
            expired: 0,
        }
    }

    /// Puts a list in force, from `now_ns` of CLOCK_MONOTONIC on. Whether anything changed. An entry that stays as it
    /// was keeps its counters and its end; one that has ended stays ended until it is changed or taken out.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn apply(&mut self, kernel: &mut Kernel, wanted: &Entries, now_ns: u64) -> Result<bool, TableError> {
        if wanted.len() > self.max_entries as usize {
            return Err(TableError::TooMany {
                entries: wanted.len(),
                max_entries: self.max_entries,
            });
        }
        let unwanted: Vec<Prefix> = self
            .known
            .keys()
            .filter(|prefix| !wanted.contains_key(prefix))
            .copied()
            .collect();
        let new: Vec<Entry> = wanted
            .values()
            .filter(|entry| {
                self.known
                    .get(&entry.prefix)
                    .is_none_or(|known| known.entry != **entry)
            })
            .copied()
            .collect();
        let (first, rest) = new.split_at(new.len().min(self.free.len()));
        for entry in first {
            self.put(kernel, entry, now_ns)?;
        }
        for prefix in &unwanted {
            self.remove(kernel, *prefix)?;
        }
        for entry in rest {
            self.put(kernel, entry, now_ns)?;
        }
        Ok(!unwanted.is_empty() || !new.is_empty())
    }

    fn put(&mut self, kernel: &mut Kernel, entry: &Entry, now_ns: u64) -> Result<(), TableError> {
        const NS_PER_SECOND: u64 = 1_000_000_000;
        let slot = self.take_slot(kernel)?;
        let expires_ns = entry
            .ttl_seconds
            .map_or(0, |seconds| now_ns + u64::from(seconds) * NS_PER_SECOND);
        if let Err(source) = kernel.put(entry, slot, expires_ns) {
            self.free.push_back(slot);
            return Err(TableError::Write {
                prefix: entry.prefix,
                source,
            });
        }
        let known = Known {
            entry: *entry,
            in_force: Some((slot, expires_ns)),
        };
        if let Some(before) = self.known.insert(entry.prefix, known) {
            self.rest(&before);
        }
        Ok(())
    }

    fn take_slot(&mut self, kernel: &mut Kernel) -> Result<u32, TableError> {
        if let Some(slot) = self.free.pop_front() {
            return Ok(slot);
        }
        // Every slot that is not free is resting or belongs to a known entry, of which there are fewer than slots.
        let (slot, kind) = self.resting.pop_front().ok_or(TableError::TooMany {
            entries: self.known.len() + 1,
            max_entries: self.max_entries,
        })?;
        self.fold(kernel, slot, kind)?;
        Ok(slot)
    }

    fn remove(&mut self, kernel: &mut Kernel, prefix: Prefix) -> Result<(), TableError> {
        if let Some(known) = self.known.get(&prefix).copied() {
            if known.in_force.is_some() {
                kernel
                    .remove(prefix)
                    .map_err(|source| TableError::Write { prefix, source })?;
            }
            self.rest(&known);
            self.known.remove(&prefix);
        }
        Ok(())
    }

    fn rest(&mut self, known: &Known) {
        if let Some((slot, _)) = known.in_force {
            self.resting
                .push_back((slot, (known.entry.action, known.entry.shadow)));
        }
    }

    /// Adds what a slot counted to what is told of entries that are gone.
    fn fold(&mut self, kernel: &mut Kernel, slot: u32, kind: Kind) -> Result<(), MapError> {
        let count = kernel.count(slot)?;
        kernel.clear(slot)?;
        let gone = self.gone.entry(kind).or_default();
        gone.packets += count.packets;
        gone.bytes += count.bytes;
        Ok(())
    }

    /// Takes out what has ended by `now_ns` of CLOCK_MONOTONIC; the kernel half does not heed it any longer anyway.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn sweep(&mut self, kernel: &mut Kernel, now_ns: u64) -> Result<(), TableError> {
        while let Some((slot, kind)) = self.resting.pop_front() {
            self.fold(kernel, slot, kind)?;
            self.free.push_back(slot);
        }
        let ended: Vec<Known> = self
            .known
            .values()
            .filter(|known| {
                known
                    .in_force
                    .is_some_and(|(_, end_ns)| end_ns != 0 && end_ns <= now_ns)
            })
            .copied()
            .collect();
        for known in ended {
            let prefix = known.entry.prefix;
            kernel
                .remove(prefix)
                .map_err(|source| TableError::Write { prefix, source })?;
            self.rest(&known);
            if let Some(known) = self.known.get_mut(&prefix) {
                known.in_force = None;
            }
            self.expired += 1;
        }
        Ok(())
    }

    /// The entries in force, with what was counted for each.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn in_force(&self, kernel: &Kernel) -> Result<Vec<(Entry, Count)>, MapError> {
        let in_force = |known: &Known| known.in_force.map(|(slot, _)| (known.entry, slot));
        self.known
            .values()
            .filter_map(in_force)
            .map(|(entry, slot)| Ok((entry, kernel.count(slot)?)))
            .collect()
    }

    /// What was counted for entries that are gone.
    ///
    /// # Errors
    /// When a map cannot be read.
    pub fn gone(&self, kernel: &Kernel) -> Result<BTreeMap<Kind, Count>, MapError> {
        let mut gone = self.gone.clone();
        for (slot, kind) in &self.resting {
            let count = kernel.count(*slot)?;
            let sum = gone.entry(*kind).or_default();
            sum.packets += count.packets;
            sum.bytes += count.bytes;
        }
        Ok(gone)
    }

    /// Entries that have ended since the start.
    pub fn expired(&self) -> u64 {
        self.expired
    }
}
