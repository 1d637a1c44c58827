//! Where a function's calls are counted: a place in a program's file, or a name in the kernel.

use std::{
    io,
    path::{Path, PathBuf},
};

use probe::{
    loader::{Hook, LoadError},
    maps::MapError,
    select::FileId,
};

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
        /// What it may be called there instead.
        or_symbol: Option<String>,
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
    /// The kernel half could not be told whom to watch.
    #[error("cannot write a BPF map: {0}")]
    Map(#[from] MapError),
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
        /// The kernel's hook is on this file, whatever becomes of the path.
        file: FileId,
        /// Somebody else's breakpoint was there first, which a look cannot tell from ours.
        is_shared: bool,
    },
    Kernel {
        name: String,
    },
}

impl Function {
    /// The programs for it, the one that counts and the one that is stimulated, and those for the other kind.
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
}

impl Place {
    /// Whether it is in this file.
    pub(crate) fn is_in(&self, id: FileId) -> bool {
        matches!(self, Self::Program { file, .. } if *file == id)
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
            Place::Program { path, file, .. } => FileId::of(path).is_ok_and(|now| now == *file),
            Place::Kernel { .. } => true,
        }
    }
}

/// Finds a function where it is said to be.
///
/// # Errors
/// When it is not there, or its calls could not be counted.
pub(crate) fn find(function: &Function) -> Result<Place, AttachError> {
    match function {
        Function::Kernel { name } => Ok(Place::Kernel { name: name.clone() }),
        Function::Program { path, .. } => find_in(function, path),
    }
}

/// Finds a program's function in this file.
///
/// # Errors
/// When it is not there, or its calls could not be counted.
pub(crate) fn find_in(function: &Function, path: &Path) -> Result<Place, AttachError> {
    let Function::Program {
        symbol,
        or_symbol,
        debug_file,
        ..
    } = function
    else {
        return find(function);
    };
    let unusable = |source| AttachError::File {
        path: path.to_owned(),
        source,
    };
    // Links are left to the kernel: what /proc/PID/root leads to has no other path here.
    let file = std::path::absolute(path).map_err(unusable)?;
    let (symbol, location) = match symbol::find(&file, debug_file.as_deref(), symbol) {
        Err(missing @ SymbolError::Missing { .. }) => {
            let other = or_symbol.as_ref().ok_or(missing)?;
            (other, symbol::find(&file, debug_file.as_deref(), other)?)
        }
        found => (symbol, found?),
    };
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
        file: FileId::of(&file).map_err(unusable)?,
        is_shared: proof::has_breakpoint(&file, location.offset_bytes).map_err(unusable)?,
        path: file,
    })
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
