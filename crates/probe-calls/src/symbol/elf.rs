//! What an ELF file says about its functions: symbols with their versions, and the segments that are executed.

use object::{
    Endianness, FileKind, Object, ReadRef, SymbolIndex, elf,
    read::elf::{
        ElfFile, FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym, SymbolTable, VersionTable,
    },
};

/// What a symbol names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    /// A function that returns the address of the one to call.
    Indirect,
    /// Data, a section, a file, …
    Other,
}

/// An entry of a symbol table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol<'data> {
    /// Without its version.
    pub(super) name: &'data str,
    pub(super) version: Option<&'data str>,
    /// Whether a name without version means it.
    pub(super) is_default: bool,
    pub(super) kind: Kind,
    pub(super) is_local: bool,
    pub(super) is_defined: bool,
    pub(super) address: u64,
}

/// A part of the file that is loaded to be executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    address: u64,
    offset: u64,
    file_bytes: u64,
}

/// A program, a library, or the debug information of one.
#[derive(Debug, Default)]
pub(super) struct Image<'data> {
    /// `.symtab`, which is taken out by `strip`.
    pub(super) symbols: Vec<Symbol<'data>>,
    /// `.dynsym`, which the dynamic linker needs.
    pub(super) dynamic: Vec<Symbol<'data>>,
    pub(super) build_id: Option<&'data [u8]>,
    /// Name and checksum of a file with debug information.
    pub(super) debug_link: Option<(&'data [u8], u32)>,
    segments: Vec<Segment>,
}

impl<'data> Image<'data> {
    pub(super) fn read<R: ReadRef<'data>>(data: R) -> Result<Self, String> {
        match FileKind::parse(data).map_err(|error| error.to_string())? {
            FileKind::Elf64 => read::<elf::FileHeader64<Endianness>, R>(data),
            FileKind::Elf32 => read::<elf::FileHeader32<Endianness>, R>(data),
            other => return Err(format!("it is {other:?}, not ELF")),
        }
        .map_err(|error| error.to_string())?
        .ok_or_else(|| "it is neither executable (ET_EXEC, ET_DYN) nor a library".to_owned())
    }

    /// Where in the file an address is loaded from, if it is to be executed.
    pub(super) fn file_offset(&self, address: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let inside = address.checked_sub(segment.address)?;
            (inside < segment.file_bytes).then(|| segment.offset + inside)
        })
    }
}

fn read<'data, Elf, R>(data: R) -> object::Result<Option<Image<'data>>>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type(endian)) {
        return Ok(None);
    }
    let sections = header.sections(endian, data)?;
    let versions = sections.versions(endian, data)?;
    let table = |kind| table(&sections, endian, data, kind, versions.as_ref());
    let file = ElfFile::<Elf, R>::parse(data)?;
    Ok(Some(Image {
        symbols: table(elf::SHT_SYMTAB)?,
        dynamic: table(elf::SHT_DYNSYM)?,
        build_id: file.build_id()?,
        debug_link: file.gnu_debuglink()?,
        segments: header
            .program_headers(endian, data)?
            .iter()
            .filter(|part| part.p_type(endian) == elf::PT_LOAD && part.p_flags(endian) & elf::PF_X != 0)
            .map(|part| Segment {
                address: part.p_vaddr(endian).into(),
                offset: part.p_offset(endian).into(),
                file_bytes: part.p_filesz(endian).into(),
            })
            .collect(),
    }))
}

fn table<'data, Elf, R>(
    sections: &SectionTable<'data, Elf, R>,
    endian: Endianness,
    data: R,
    kind: u32,
    versions: Option<&VersionTable<'data, Elf>>,
) -> object::Result<Vec<Symbol<'data>>>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    // A file with debug information keeps the header of .dynsym without its content.
    let is_there = |section: &Elf::SectionHeader| section.sh_type(endian) == kind;
    if !sections.iter().any(is_there) {
        return Ok(Vec::new());
    }
    let symbols: SymbolTable<'data, Elf, R> = sections.symbols(endian, data, kind)?;
    let versions = versions.filter(|_| kind == elf::SHT_DYNSYM);
    Ok(symbols
        .enumerate()
        .filter_map(|(index, symbol)| {
            let name = std::str::from_utf8(symbol.name(endian, symbols.strings()).ok()?).ok()?;
            let named = match versions {
                Some(versions) => by_table(name, versions, endian, index),
                None => by_name(name),
            };
            Some(described::<Elf>(named, symbol, endian)).filter(|symbol| !symbol.name.is_empty())
        })
        .collect())
}

/// Name, version, and whether a name without version means it.
type Named<'data> = (&'data str, Option<&'data str>, bool);

/// `.symtab` has the version in the name: `f@@V2` for the default, `f@V1` for the others.
fn by_name(name: &str) -> Named<'_> {
    match name.split_once('@') {
        None => (name, None, true),
        Some((name, version)) => match version.strip_prefix('@') {
            Some(version) => (name, Some(version), true),
            None => (name, Some(version), false),
        },
    }
}

/// `.dynsym` has it in tables of their own.
fn by_table<'data, Elf: FileHeader>(
    name: &'data str,
    versions: &VersionTable<'data, Elf>,
    endian: Elf::Endian,
    index: SymbolIndex,
) -> Named<'data> {
    let version_index = versions.version_index(endian, index);
    let version = versions.version(version_index).ok().flatten();
    let version = version.and_then(|version| std::str::from_utf8(version.name()).ok());
    (name, version, !version_index.is_hidden())
}

fn described<'data, Elf: FileHeader>(
    (name, version, is_default): Named<'data>,
    symbol: &Elf::Sym,
    endian: Elf::Endian,
) -> Symbol<'data> {
    let address: u64 = symbol.st_value(endian).into();
    Symbol {
        name,
        version,
        is_default,
        kind: match symbol.st_type() {
            // Assembly that does not say has functions without type.
            elf::STT_FUNC | elf::STT_NOTYPE => Kind::Function,
            elf::STT_GNU_IFUNC => Kind::Indirect,
            _ => Kind::Other,
        },
        is_local: symbol.is_local(),
        is_defined: symbol.st_shndx(endian) != elf::SHN_UNDEF && address != 0,
        address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_up_in_executed_segments_only() {
        let segment = |address, offset, file_bytes| Segment {
            address,
            offset,
            file_bytes,
        };
        let image = Image {
            segments: vec![
                segment(0x40_2000, 0x1000, 0x500),
                segment(0x50_0000, 0x9000, 0x10),
            ],
            ..Image::default()
        };
        assert_eq!(image.file_offset(0x40_2000), Some(0x1000));
        assert_eq!(image.file_offset(0x40_24ff), Some(0x14ff));
        assert_eq!(image.file_offset(0x50_000f), Some(0x900f));
        for outside in [0, 0x40_1fff, 0x40_2500, 0x50_0010, u64::MAX] {
            assert_eq!(image.file_offset(outside), None);
        }
    }

    #[test]
    fn versions_in_names() {
        assert_eq!(by_name("f"), ("f", None, true));
        assert_eq!(by_name("f@@V2"), ("f", Some("V2"), true));
        assert_eq!(by_name("f@V1"), ("f", Some("V1"), false));
    }
}
