//! Where a function's calls are counted: a place in a program's file, or a name in the kernel.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use probe::loader::{Hook, LoadError};

use crate::{
    proof,
    symbol::{self, SymbolError},
};

/// A function to count the calls of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Function {
    /// Of a program or library.
    Program {
        /// Its file.
        path: PathBuf,
        /// Its name in that file.
        symbol: String,
        /// A file with its debug information.
        debug_file: Option<PathBuf>,
    },
    /// Of the kernel.
    Kernel {
        /// Its name in /proc/kallsyms.
        name: String,
    },
}

/// Why nothing is counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    /// The function was not found.
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// The program's file cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel half could not be loaded or attached.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel has no such function, as far as it tells.
    #[error("{source}{hint}")]
    Kernel {
        /// What it said.
        source: Box<LoadError>,
        /// Names that are near; empty or starting with "; ".
        hint: String,
    },
}

/// Where a function was found.
#[derive(Debug)]
pub(crate) enum Place {
    Program {
        path: PathBuf,
        offset_bytes: u64,
        /// Device and inode: the kernel's hook is on them, whatever becomes of the path.
        identity: (u64, u64),
        /// Somebody else's breakpoint was there first, which a look cannot tell from ours.
        is_shared: bool,
    },
    Kernel {
        name: String,
    },
}

impl Place {
    /// The programs for it, the one that counts and the one that is stimulated, and those for the other place.
    pub(crate) fn programs(&self) -> ([&'static str; 2], [&'static str; 2]) {
        let (uprobe, kprobe) = (
            ["calls_uprobe", "calls_uprobe_stimulus"],
            ["calls_kprobe", "calls_kprobe_stimulus"],
        );
        match self {
            Self::Program { .. } => (uprobe, kprobe),
            Self::Kernel { .. } => (kprobe, uprobe),
        }
    }

    pub(crate) fn hook(&self) -> Hook<'_> {
        match self {
            Self::Program {
                path, offset_bytes, ..
            } => Hook::Uprobe {
                path,
                offset_bytes: *offset_bytes,
            },
            Self::Kernel { name } => Hook::Kprobe { function: name },
        }
    }

    /// Whether what the hook lies in is still what the path leads to.
    pub(crate) fn is_current(&self) -> bool {
        match self {
            Place::Program {
                path,
                identity: known,
                ..
            } => identity(path).is_ok_and(|now| now == *known),
            Place::Kernel { .. } => true,
        }
    }
}

/// Finds a function.
///
/// # Errors
/// When it is not there, or its calls could not be counted.
pub(crate) fn find(function: &Function) -> Result<Place, AttachError> {
    match function {
        Function::Kernel { name } => Ok(Place::Kernel { name: name.clone() }),
        Function::Program {
            path,
            symbol,
            debug_file,
        } => {
            let unusable = |source| AttachError::File {
                path: path.clone(),
                source,
            };
            // Links are left to the kernel: what /proc/PID/root leads to has no other path here.
            let file = std::path::absolute(path).map_err(unusable)?;
            let location = symbol::find(&file, debug_file.as_deref(), symbol)?;
            tracing::info!(
                "{symbol} of {} begins at {:#x} of the file, says {}",
                file.display(),
                location.offset_bytes,
                location.named_by.display()
            );
            if !location.clones.is_empty() {
                tracing::warn!(
                    "{symbol} also has parts that may be called without it: {}; those calls are not counted",
                    location.clones.join(", ")
                );
            }
            Ok(Place::Program {
                offset_bytes: location.offset_bytes,
                identity: identity(&file).map_err(unusable)?,
                is_shared: proof::has_breakpoint(&file, location.offset_bytes).map_err(unusable)?,
                path: file,
            })
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Names of kernel functions that are near, if the kernel had none of this name.
pub(crate) fn kernel_hint(name: &str, error: LoadError) -> AttachError {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let names = symbols.lines().filter_map(|line| line.split(' ').nth(2));
    let names: Vec<String> = names
        .map(|name| name.split('\t').next().unwrap_or(name).to_owned())
        .collect();
    if names.is_empty() || names.iter().any(|known| known == name) {
        return error.into();
    }
    AttachError::Kernel {
        source: Box::new(error),
        hint: symbol::hint(&names, name),
    }
}
