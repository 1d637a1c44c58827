//! The file with a program's debug information, where distributions and `objcopy` put it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{SymbolError, elf::Image, open};

/// Where distributions keep such files.
const FOLDER: &str = "/usr/lib/debug";

/// Looks where debuggers look: by build ID below `/usr/lib/debug`, then by the name that the program itself has for it,
/// beside it, in `.debug` beside it, and below `/usr/lib/debug`. A file that is another program's is passed over.
pub(super) fn look_for(program: &Path, image: &Image<'_>) -> Option<PathBuf> {
    candidates(program, image)
        .into_iter()
        .find(|path| path.is_file() && check(path, image).is_ok())
}

fn candidates(program: &Path, image: &Image<'_>) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some([first, rest @ ..]) = image.build_id {
        let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        paths.push(Path::new(FOLDER).join(format!(".build-id/{first:02x}/{rest}.debug")));
    }
    let Some((name, _)) = image.debug_link else {
        return paths;
    };
    let name = Path::new(OsStr::from_bytes(name));
    // Beside the path as it was given, and beside what it is a link to.
    let real = program.canonicalize().ok();
    for folder in [Some(program), real.as_deref()].into_iter().flatten() {
        let Some(folder) = folder.parent() else {
            continue;
        };
        paths.push(folder.join(name));
        paths.push(folder.join(".debug").join(name));
        let below = folder.strip_prefix("/").unwrap_or(folder);
        paths.push(Path::new(FOLDER).join(below).join(name));
    }
    paths
}

/// Whether a file has the debug information of this program: by build ID, or by the checksum that the program names.
pub(super) fn check(path: &Path, program: &Image<'_>) -> Result<(), SymbolError> {
    let wrong = |reason: String| SymbolError::WrongDebugFile {
        path: path.to_owned(),
        reason,
    };
    let cache = open(path)?;
    let debug = Image::read(&cache).map_err(|reason| SymbolError::NotAProgram {
        path: path.to_owned(),
        reason,
    })?;
    match (program.build_id, debug.build_id) {
        (Some(own), Some(other)) if own == other => return Ok(()),
        (Some(_), Some(_)) => return Err(wrong("its build ID is another".to_owned())),
        _ => {}
    }
    let Some((_, checksum)) = program.debug_link else {
        return Err(wrong(
            "neither build ID nor .gnu_debuglink says that it does".to_owned(),
        ));
    };
    let bytes = fs::read(path).map_err(|source| SymbolError::Read {
        path: path.to_owned(),
        source,
    })?;
    if crc32fast::hash(&bytes) == checksum {
        Ok(())
    } else {
        Err(wrong("its checksum is another".to_owned()))
    }
}
