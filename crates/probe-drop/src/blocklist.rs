//! The blocklist: drops, bounces or lets pass frames by the longest prefix their address is in, as they arrive.
//!
//! The list is in the manifest and in a file that is read again when it changes, while packets flow. What the program
//! cannot read passes; when the daemon ends, however it ends, everything passes, unless the manifest names a file that keeps
//! the program in place for the next one.

pub mod entry;
pub mod kernel;
pub mod list_file;
mod report;
mod spec;
pub mod table;
pub mod types;

use std::{collections::BTreeMap, time::Duration};

use probe::{
    Failure, Probe,
    accounting::{Hits, ReadError},
    clock::monotonic_ns,
    metrics::Families,
};

use entry::Entry;
use kernel::{AttachError, Count, Kernel};
use list_file::{Entries, ListError, ListFile};
pub use spec::{Control, Spec};
use table::{Kind, Table, TableError};

/// Why a list is not in force as it is written. Nothing that was in force before is lost by it.
#[derive(Debug, thiserror::Error)]
pub enum RefusedList {
    /// It cannot be read.
    #[error(transparent)]
    List(#[from] ListError),
    /// It says something about a prefix that the manifest has.
    #[error("{0} is in the manifest already")]
    InManifest(entry::Prefix),
    /// It cannot be put in force.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// A reading of all counters.
#[derive(Debug, Default)]
pub struct Reading {
    /// Frames by verdict, in the order of `enum blocklist_verdict`.
    pub verdicts: Vec<Count>,
    /// Runs by verdict, beside the kernel's own count of them.
    pub hits: Hits,
    /// Entries in force and what was counted for each.
    pub in_force: Vec<(Entry, Count)>,
    /// What was counted for entries that are gone.
    pub gone: BTreeMap<Kind, Count>,
    /// Entries that have ended.
    pub expired: u64,
    /// Lists put in force.
    pub lists_applied: u64,
    /// Lists refused.
    pub lists_refused: u64,
    /// Whether the list as it is written now is in force.
    pub list_in_force: bool,
}

/// The blocklist in place. Dropping it lets everything pass, unless a file keeps it.
#[derive(Debug)]
pub struct Blocklist {
    kernel: Kernel,
    table: Table,
    /// Of the manifest.
    own: Entries,
    /// Whether every entry only counts.
    shadow: bool,
    file: Option<ListFile>,
    check_interval: Duration,
    lists_applied: u64,
    lists_refused: u64,
    /// Why the list as it is written now is not in force.
    refusal: Option<String>,
    proven: bool,
}

impl Blocklist {
    /// A loaded program with the entries of a manifest in force, and those of the file as it is now. The list is there
    /// before the first frame is.
    ///
    /// # Errors
    /// When the list cannot be read or does not fit.
    pub fn new(
        kernel: Kernel,
        own: Entries,
        shadow: bool,
        file: Option<ListFile>,
    ) -> Result<Self, RefusedList> {
        let mut blocklist = Self {
            table: Table::new(kernel.config().max_entries),
            kernel,
            own,
            shadow,
            file,
            check_interval: Duration::from_secs(1),
            lists_applied: 0,
            lists_refused: 0,
            refusal: None,
            proven: false,
        };
        blocklist.read_list(monotonic_ns())?;
        if blocklist.file.is_none() {
            blocklist.put_in_force(&Entries::new(), monotonic_ns())?;
        }
        Ok(blocklist)
    }

    /// Has the list decide about the interface's frames from now on.
    ///
    /// # Errors
    /// When the interface has a program already, or its driver knows no XDP.
    pub fn attach(&mut self) -> Result<(), AttachError> {
        self.kernel.attach()
    }

    /// The kernel half.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    fn put_in_force(&mut self, listed: &Entries, now_ns: u64) -> Result<bool, RefusedList> {
        let mut wanted = self.own.clone();
        for (prefix, entry) in listed {
            if wanted.insert(*prefix, *entry).is_some() {
                return Err(RefusedList::InManifest(*prefix));
            }
        }
        for entry in wanted.values_mut() {
            entry.shadow |= self.shadow;
        }
        Ok(self.table.apply(&mut self.kernel, &wanted, now_ns)?)
    }

    /// Puts the file's entries in force if they may have changed. Whether they had.
    fn read_list(&mut self, now_ns: u64) -> Result<bool, RefusedList> {
        let Some(file) = &mut self.file else {
            return Ok(false);
        };
        let Some(listed) = file.changed()? else {
            return Ok(false);
        };
        let result = self.put_in_force(&listed, now_ns);
        if let (Err(RefusedList::Table(TableError::Write { .. } | TableError::Map(_))), Some(file)) =
            (&result, &mut self.file)
        {
            // What the kernel could not take now it may be able to later.
            file.forget();
        }
        if result.is_ok() {
            self.refusal = None;
        }
        result
    }

    /// Looks after the list: what has ended comes out, and what was changed is put in force. A list that is refused is
    /// logged and counted once, and the one before stays.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn refresh(&mut self, now_ns: u64) -> Result<(), TableError> {
        self.table.sweep(&mut self.kernel, now_ns)?;
        match self.read_list(now_ns) {
            Ok(changed) => self.lists_applied += u64::from(changed),
            Err(error) => {
                let message = error.to_string();
                if self.refusal.as_ref() != Some(&message) {
                    tracing::error!("blocklist of {}: {message}", self.kernel.config().interface.name);
                    self.lists_refused += 1;
                    self.refusal = Some(message);
                }
            }
        }
        Ok(())
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When a map or the program's statistics cannot be read.
    pub fn read(&self) -> Result<Reading, ReadError> {
        Ok(Reading {
            verdicts: self.kernel.verdicts()?,
            hits: self.kernel.hits()?,
            in_force: self.table.in_force(&self.kernel)?,
            gone: self.table.gone(&self.kernel)?,
            expired: self.table.expired(),
            lists_applied: self.lists_applied,
            lists_refused: self.lists_refused,
            list_in_force: self.refusal.is_none(),
        })
    }
}

impl Probe for Blocklist {
    fn prove(&mut self) -> Result<(), String> {
        self.kernel.prove()?;
        self.proven = true;
        Ok(())
    }

    fn sweep_interval(&self) -> Option<Duration> {
        Some(self.check_interval)
    }

    fn sweep(&mut self, now_ns: u64) -> Result<(), Failure> {
        Ok(self.refresh(now_ns)?)
    }

    fn collect(&mut self, families: &mut Families) -> Result<(), Failure> {
        let reading = self.read()?;
        report::add(families, self.kernel.config(), self.proven, &reading);
        Ok(())
    }
}
