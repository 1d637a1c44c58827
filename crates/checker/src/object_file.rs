//! What an object file holds, read without either loader: both are compared against the same list.

use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

/// Bytes of one instruction.
const INSTRUCTION_BYTES: u64 = 8;

/// A program of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its section, as it is written.
    pub section: String,
    /// Instructions, without the functions it calls.
    pub size_instructions: u64,
}

/// The programs of an object, in the order of its symbols: every global function outside `.text`, which holds the
/// functions that programs call.
pub fn programs(bytes: &[u8]) -> Result<Vec<Program>> {
    let file = object::File::parse(bytes).context("this is no ELF file")?;
    anyhow::ensure!(
        file.architecture() == object::Architecture::Bpf,
        "this ELF file is for {:?}, not for BPF",
        file.architecture()
    );
    let mut programs = Vec::new();
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
        let is_function = section.kind() == SectionKind::Text && symbol.is_global() && symbol.size() > 0;
        if is_function && section_name != ".text" {
            programs.push(Program {
                name: name.to_owned(),
                section: section_name.to_owned(),
                size_instructions: symbol.size() / INSTRUCTION_BYTES,
            });
        }
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calibration_object_has_its_programs_in_order() {
        let programs = programs(crate::calibrate::OBJECT).unwrap();
        assert_eq!(programs[0].name, "empty_tracepoint");
        assert_eq!(programs[0].section, "tracepoint/syscalls/sys_enter_getppid");
        assert_eq!(programs[0].size_instructions, 2);
        assert!(programs.iter().any(|program| program.name == "empty_xdp"));
    }

    #[test]
    fn what_is_no_object_is_said() {
        let error = |bytes: &[u8]| programs(bytes).unwrap_err().to_string();
        assert_eq!(error(b"#!/bin/sh\n"), "this is no ELF file");
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(error(&own).ends_with("not for BPF"), "{}", error(&own));
    }
}
