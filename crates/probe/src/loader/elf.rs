//! What both loaders need to know of an object file: which section each program is in and where its constants lie.

use std::{collections::BTreeMap, ops::Range};

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// The section of constants, which becomes the map of the same name.
pub(super) const CONSTANTS: &str = ".rodata";

/// Programs and constants of an object file.
pub(super) struct Parts {
    programs: BTreeMap<String, String>,
    constants: BTreeMap<String, Range<usize>>,
}

impl Parts {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
        let (mut programs, mut constants) = (BTreeMap::new(), BTreeMap::new());
        for symbol in file.symbols() {
            let Some(section) = symbol
                .section_index()
                .and_then(|index| file.section_by_index(index).ok())
            else {
                continue;
            };
            let (Ok(name), Ok(section_name)) = (symbol.name(), section.name()) else {
                continue;
            };
            let start = symbol.address() as usize;
            if section_name == CONSTANTS && symbol.kind() == SymbolKind::Data {
                constants.insert(name.to_owned(), start..start + symbol.size() as usize);
            } else if section.kind() == SectionKind::Text && section_name != ".text" && symbol.is_global() {
                programs.insert(name.to_owned(), section_name.to_owned());
            }
        }
        Ok(Self { programs, constants })
    }

    /// The programs, by name, with their sections.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.programs
            .iter()
            .map(|(name, section)| (name.as_str(), section.as_str()))
    }

    /// The section of a program.
    pub(super) fn section(&self, program: &str) -> Option<&str> {
        self.programs.get(program).map(String::as_str)
    }

    /// Where a constant lies in its section.
    pub(super) fn constant(&self, name: &str) -> Option<Range<usize>> {
        self.constants.get(name).cloned()
    }
}
