//! Functions by debug information (DWARF), for those that no symbol table names; and those that are inlined.

use std::{borrow::Cow, fs::File};

use gimli::{AttributeValue, DebuggingInformationEntry, Dwarf, Reader, RunTimeEndian, Unit};
use object::{Object, ObjectSection, ReadCache};

/// What debug information says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Answer {
    /// Where its function begins.
    pub(super) address: Option<u64>,
    /// How many of its calls were replaced by its body.
    pub(super) inlined: usize,
}

/// Looks a function up by its name in the source or by its linkage name.
pub(super) fn look_up(cache: &ReadCache<File>, symbol: &str) -> Result<Answer, gimli::Error> {
    let Ok(file) = object::File::parse(cache) else {
        return Ok(Answer::default());
    };
    let endian = if file.is_little_endian() {
        RunTimeEndian::Little
    } else {
        RunTimeEndian::Big
    };
    let sections = gimli::DwarfSections::load(|id| {
        let section = file.section_by_name(id.name());
        let bytes = section.and_then(|section| section.uncompressed_data().ok());
        Ok::<_, gimli::Error>(bytes.unwrap_or(Cow::Borrowed(&[])))
    })?;
    let dwarf = sections.borrow(|bytes| gimli::EndianSlice::new(bytes, endian));
    let mut answer = Answer::default();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        look_in_unit(&dwarf, &dwarf.unit(header)?, symbol, &mut answer)?;
    }
    Ok(answer)
}

/// What refers to a declaration may come before or after it, so a unit that has one is read again.
fn look_in_unit<R: Reader>(
    dwarf: &Dwarf<R>,
    unit: &Unit<R>,
    symbol: &str,
    answer: &mut Answer,
) -> Result<(), gimli::Error> {
    let mut declared = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        if entry.tag() == gimli::DW_TAG_subprogram && is_named(dwarf, unit, entry, symbol)? {
            declared.push(entry.offset());
        }
    }
    if declared.is_empty() {
        return Ok(());
    }
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        if !declared.contains(&entry.offset()) && !refers_to::<R>(entry, &declared) {
            continue;
        }
        match entry.tag() {
            gimli::DW_TAG_subprogram => {
                if let Some(low) = entry.attr_value(gimli::DW_AT_low_pc) {
                    answer.address = dwarf.attr_address(unit, low)?.or(answer.address);
                }
            }
            gimli::DW_TAG_inlined_subroutine => answer.inlined += 1,
            _ => {}
        }
    }
    Ok(())
}

fn is_named<R: Reader>(
    dwarf: &Dwarf<R>,
    unit: &Unit<R>,
    entry: &DebuggingInformationEntry<R>,
    symbol: &str,
) -> Result<bool, gimli::Error> {
    for attribute in [gimli::DW_AT_linkage_name, gimli::DW_AT_name] {
        if let Some(value) = entry.attr_value(attribute)
            && dwarf.attr_string(unit, value)?.to_string_lossy()? == symbol
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn refers_to<R: Reader>(
    entry: &DebuggingInformationEntry<R>,
    declared: &[gimli::UnitOffset<R::Offset>],
) -> bool {
    [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification]
        .into_iter()
        .any(|attribute| match entry.attr_value(attribute) {
            Some(AttributeValue::UnitRef(offset)) => declared.contains(&offset),
            _ => false,
        })
}
