//! Where a function begins in a program's file.
//!
//! The kernel takes a place in a file, not a name. Names come from the file's own symbol tables, or from a file with
//! debug information that belongs to it; places always from the file itself, by its loadable segments. A section's
//! offset would do in most files and be wrong in some.
//!
//! A name that is there but whose calls could not be counted is an error that says why.

mod debug_file;
mod dwarf;
mod elf;
mod near;
mod pick;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use object::ReadCache;

use elf::Image;
use pick::Pick;

pub(crate) use near::hint;

/// Where a function was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Bytes from the start of the file to the function's first instruction.
    pub offset_bytes: u64,
    /// The file whose symbol table or debug information named it.
    pub named_by: PathBuf,
    /// Parts that the compiler made functions of their own (`.part`, `.cold`, `.constprop`, `.isra`): calls that go
    /// straight to one of them are not calls of the function's first instruction.
    pub clones: Vec<String>,
}

/// Why a function's calls cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no ELF program or library.
    #[error("{path} is no program or library: {reason}")]
    NotAProgram {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with debug information belongs to another program.
    #[error("{path} does not belong to the program: {reason}")]
    WrongDebugFile {
        /// The file that was given.
        path: PathBuf,
        /// How it differs.
        reason: String,
    },
    /// No such name.
    #[error("{program} has no function {symbol:?}{hint}")]
    Missing {
        /// Where it was looked for.
        program: PathBuf,
        /// The name.
        symbol: String,
        /// Names that are near, or what may be done; empty or starting with "; ".
        hint: String,
    },
    /// Every call was replaced by the function's body.
    #[error(
        "{program}: the compiler put the body of {symbol:?} in place of its calls ({places} of them) and left no \
         function: nothing is called that could be counted"
    )]
    Inlined {
        /// Where it was looked for.
        program: PathBuf,
        /// The name.
        symbol: String,
        /// How many calls were replaced, as far as the debug information tells.
        places: usize,
    },
    /// The name is imported: its function is in another file.
    #[error("{program} only imports {symbol:?}; name the library that has it as `program`")]
    Undefined {
        /// Where it was looked for.
        program: PathBuf,
        /// The name.
        symbol: String,
    },
    /// The name is of a function that chooses the function to call.
    #[error(
        "{symbol:?} of {program} is indirect (IFUNC): at its address is what chooses one of several functions, once; \
         name the chosen one instead"
    )]
    Indirect {
        /// Where it was found.
        program: PathBuf,
        /// The name.
        symbol: String,
    },
    /// The name is of data.
    #[error("{symbol:?} of {program} is not a function")]
    NotAFunction {
        /// Where it was found.
        program: PathBuf,
        /// The name.
        symbol: String,
    },
    /// Several functions have the name.
    #[error("{program} has several functions {symbol:?}, at {addresses}: which one is meant cannot be told")]
    Ambiguous {
        /// Where they were found.
        program: PathBuf,
        /// The name.
        symbol: String,
        /// Their addresses.
        addresses: String,
    },
    /// The address is not in a part of the file that is loaded to be executed.
    #[error("{symbol:?} of {program} is at {address:#x}, where nothing of the file is executed")]
    NotExecutable {
        /// Where it was found.
        program: PathBuf,
        /// The name.
        symbol: String,
        /// Its address.
        address: u64,
    },
}

/// A name, and where it is looked for.
struct Search<'a> {
    program: &'a Path,
    symbol: &'a str,
}

/// Finds a function in a program's file. `debug_file` names a file with its debug information; without one the usual
/// places are looked at, if the program's own tables do not have the name.
///
/// # Errors
/// See [`SymbolError`].
pub fn find(program: &Path, debug_file: Option<&Path>, symbol: &str) -> Result<Location, SymbolError> {
    let search = Search { program, symbol };
    let cache = open(program)?;
    let image = Image::read(&cache).map_err(|reason| not_a_program(program, reason))?;
    let own = search.in_tables(&[&image.symbols, &image.dynamic])?;
    if let Some((address, clones)) = own.address {
        return search.place(&image, address, program, clones);
    }
    let debug_file = match debug_file {
        Some(path) => {
            debug_file::check(path, &image)?;
            Some(path.to_owned())
        }
        None => debug_file::look_for(program, &image),
    };
    let Some(debug_file) = debug_file else {
        return search.by_dwarf(&cache, &image, program, own);
    };
    let debug_cache = open(&debug_file)?;
    let debug = Image::read(&debug_cache).map_err(|reason| not_a_program(&debug_file, reason))?;
    let mut found = search.in_tables(&[&debug.symbols])?;
    match found.address {
        Some((address, clones)) => search.place(&image, address, &debug_file, clones),
        None => {
            found.names.extend(own.names);
            found.undefined |= own.undefined;
            search.by_dwarf(&debug_cache, &image, &debug_file, found)
        }
    }
}

fn open(path: &Path) -> Result<ReadCache<File>, SymbolError> {
    let file = File::open(path).map_err(|source| SymbolError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(ReadCache::new(file))
}

fn not_a_program(path: &Path, reason: String) -> SymbolError {
    SymbolError::NotAProgram {
        path: path.to_owned(),
        reason,
    }
}

/// What symbol tables had to say.
#[derive(Default)]
struct Found {
    address: Option<(u64, Vec<String>)>,
    /// The name is there, as one that is imported.
    undefined: bool,
    /// All names of functions, for a hint.
    names: Vec<String>,
}

impl Search<'_> {
    fn in_tables(&self, tables: &[&[elf::Symbol<'_>]]) -> Result<Found, SymbolError> {
        let (program, symbol) = (self.program.to_owned(), self.symbol.to_owned());
        let mut found = Found::default();
        for table in tables {
            match pick::pick(table, self.symbol) {
                Pick::Function { address } => {
                    found.address = Some((address, near::clones(table, self.symbol)));
                    return Ok(found);
                }
                Pick::Indirect => return Err(SymbolError::Indirect { program, symbol }),
                Pick::NotAFunction => return Err(SymbolError::NotAFunction { program, symbol }),
                Pick::Ambiguous { addresses } => {
                    let addresses = addresses.iter().map(|address| format!("{address:#x}"));
                    return Err(SymbolError::Ambiguous {
                        program,
                        symbol,
                        addresses: addresses.collect::<Vec<_>>().join(", "),
                    });
                }
                Pick::Undefined => found.undefined = true,
                Pick::Missing => {}
            }
            found.names.extend(near::functions(table));
        }
        Ok(found)
    }

    /// The last resort: debug information names functions that symbol tables do not.
    fn by_dwarf(
        &self,
        cache: &ReadCache<File>,
        image: &Image<'_>,
        named_by: &Path,
        found: Found,
    ) -> Result<Location, SymbolError> {
        let (program, symbol) = (self.program.to_owned(), self.symbol.to_owned());
        if found.undefined {
            return Err(SymbolError::Undefined { program, symbol });
        }
        // Debug information that cannot be read is none.
        match dwarf::look_up(cache, self.symbol).unwrap_or_default() {
            dwarf::Answer {
                address: Some(address),
                ..
            } => self.place(
                image,
                address,
                named_by,
                near::clones_of(&found.names, self.symbol),
            ),
            dwarf::Answer { inlined, .. } if inlined > 0 => Err(SymbolError::Inlined {
                program,
                symbol,
                places: inlined,
            }),
            _ => Err(SymbolError::Missing {
                hint: hint(&found.names, self.symbol),
                program,
                symbol,
            }),
        }
    }

    fn place(
        &self,
        image: &Image<'_>,
        address: u64,
        named_by: &Path,
        clones: Vec<String>,
    ) -> Result<Location, SymbolError> {
        let offset_bytes = image
            .file_offset(address)
            .ok_or_else(|| SymbolError::NotExecutable {
                program: self.program.to_owned(),
                symbol: self.symbol.to_owned(),
                address,
            })?;
        Ok(Location {
            offset_bytes,
            named_by: named_by.to_owned(),
            clones,
        })
    }
}
