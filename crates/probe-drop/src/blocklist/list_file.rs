//! A list in a file: one entry a line, read again when the file changes.
//!
//! ```text
//! # a comment
//! 192.0.2.0/24                 # dropped, for good
//! 192.0.2.7 pass               # but not this one
//! 2001:db8::/32 tx ttl=60      # bounced for a minute
//! 198.51.100.0/24 drop shadow  # counted only
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::entry::{Action, Entry, Prefix};

/// Entries by their prefix.
pub type Entries = BTreeMap<Prefix, Entry>;

/// Why a list is not used. The one before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("cannot read the list {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line makes no sense.
    #[error("{path}:{line}: {message}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
}

/// Reads the text of a list. A fault comes with its line, from 1.
pub(super) fn parse(text: &str) -> Result<Entries, (usize, String)> {
    let mut entries = Entries::new();
    let mut lines_of = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.split('#').next().unwrap_or_default();
        let mut words = content.split_whitespace();
        let Some(first) = words.next() else { continue };
        let at = |message: String| (number, message);
        let entry = parse_entry(first, words).map_err(at)?;
        if let Some(earlier) = lines_of.insert(entry.prefix, number) {
            return Err(at(format!("{} is in line {earlier} already", entry.prefix)));
        }
        entries.insert(entry.prefix, entry);
    }
    Ok(entries)
}

fn parse_entry<'a>(prefix: &str, words: impl Iterator<Item = &'a str>) -> Result<Entry, String> {
    let (mut action, mut shadow, mut ttl_seconds) = (None, false, None);
    for word in words {
        let is_new = match word {
            "drop" => action.replace(Action::Drop).is_none(),
            "tx" => action.replace(Action::Tx).is_none(),
            "pass" => action.replace(Action::Pass).is_none(),
            "shadow" => !std::mem::replace(&mut shadow, true),
            other => match other.strip_prefix("ttl=").map(str::parse::<u32>) {
                Some(Ok(seconds)) => ttl_seconds.replace(seconds).is_none(),
                _ => {
                    return Err(format!(
                        "{other:?} is not known here; after a prefix may stand drop, tx or pass, shadow, ttl=SECONDS"
                    ));
                }
            },
        };
        if !is_new {
            return Err(format!(
                "{word:?} comes second to a word that says the same or something else"
            ));
        }
    }
    let entry = Entry {
        prefix: prefix.parse()?,
        action: action.unwrap_or_default(),
        shadow,
        ttl_seconds,
    };
    entry.check()?;
    Ok(entry)
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
    inode: u64,
}

/// A list that is read again when its file changes.
#[derive(Debug)]
pub struct ListFile {
    path: PathBuf,
    /// Of the file as it was read last, once it is old enough to tell.
    read: Option<Stamp>,
}

/// A file changed twice within one tick of its clock has the same stamp both times, so one that young is read again.
const TICK: Duration = Duration::from_secs(2);

impl ListFile {
    /// A list that has not been read yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            read: None,
        }
    }

    /// The entries, if the file may have changed since the last call.
    ///
    /// # Errors
    /// When it cannot be read or a line makes no sense. It is then only read again when it changes.
    pub fn changed(&mut self) -> Result<Option<Entries>, ListError> {
        let failed = |source| ListError::Read {
            path: self.path.clone(),
            source,
        };
        let metadata = fs::metadata(&self.path).map_err(failed)?;
        let stamp = Stamp {
            modified: metadata.modified().map_err(failed)?,
            bytes: metadata.len(),
            inode: metadata.ino(),
        };
        if self.read.as_ref() == Some(&stamp) {
            return Ok(None);
        }
        let text = fs::read_to_string(&self.path).map_err(failed)?;
        // A clock that was set back makes every file young: then it is read each time, which is only slower.
        let is_settled = SystemTime::now()
            .duration_since(stamp.modified)
            .is_ok_and(|age| age > TICK);
        self.read = is_settled.then_some(stamp);
        parse(&text).map(Some).map_err(|(line, message)| ListError::Line {
            path: self.path.clone(),
            line,
            message,
        })
    }

    /// Has the file read again even if it does not change.
    pub fn forget(&mut self) {
        self.read = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_an_entry() {
        let text = "# all of it\n\n192.0.2.0/24\n192.0.2.7 pass # not this one\n2001:db8::/32 ttl=60 tx\n\
                    198.51.100.0/24 shadow\n";
        let entries = parse(text).unwrap();
        let shown: Vec<_> = entries
            .values()
            .map(|entry| {
                (
                    entry.prefix.to_string(),
                    entry.action.name(),
                    entry.shadow,
                    entry.ttl_seconds,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("192.0.2.0/24".to_owned(), "drop", false, None),
                ("192.0.2.7/32".to_owned(), "pass", false, None),
                ("198.51.100.0/24".to_owned(), "drop", true, None),
                ("2001:db8::/32".to_owned(), "tx", false, Some(60)),
            ]
        );
    }

    #[test]
    fn a_fault_has_its_line() {
        for (text, line, word) in [
            ("10.0.0.0/8\n10.0.0.0/8 pass\n", 2, "line 1 already"),
            ("\n\n10.0.0.1/8", 3, "did you mean"),
            ("10.0.0.0/8 deny", 1, "not known here"),
            ("10.0.0.0/8 ttl=soon", 1, "not known here"),
            ("10.0.0.0/8 ttl=0", 1, "never be in force"),
            ("10.0.0.0/8 drop pass", 1, "comes second"),
            ("10.0.0.0/8 ttl=1 ttl=2", 1, "comes second"),
            ("drop 10.0.0.0/8", 1, "not known here"),
        ] {
            let (at, message) = parse(text).unwrap_err();
            assert_eq!(at, line, "{text:?}");
            assert!(message.contains(word), "{message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "(\\PC|\n){0,80}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_settled_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        fs::write(&path, "10.0.0.0/8\n").unwrap();
        let mut list = ListFile::new(&path);
        assert_eq!(list.changed().unwrap().unwrap().len(), 1);
        // Too young to trust its stamp.
        assert!(list.changed().unwrap().is_some());
        let old = SystemTime::now() - Duration::from_secs(60);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert!(list.changed().unwrap().is_some());
        assert!(list.changed().unwrap().is_none());
        fs::write(&path, "10.0.0.0/8\nnonsense\n").unwrap();
        assert!(list.changed().unwrap_err().to_string().contains("list:2:"));
        fs::remove_file(&path).unwrap();
        assert!(matches!(list.changed(), Err(ListError::Read { .. })));
    }
}
