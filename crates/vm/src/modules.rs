//! Kernel modules for the guest: which files, in which order.
//!
//! Debian ships no `modules.dep`; each module says itself what it needs, in its `.modinfo` section.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use liblzma::read::XzDecoder;
use object::{Object, ObjectSection};

use crate::{Error, IoContext, Result};

/// The modules of one kernel: name to file.
#[derive(Debug)]
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

/// What goes into the image.
#[derive(Debug, Default)]
pub struct Selection {
    /// Module name to its plain ELF bytes.
    pub bytes: BTreeMap<String, Vec<u8>>,
    /// The index that the guest reads: a line per wanted module, with its load order.
    pub index: String,
}

impl Modules {
    /// Finds the modules below a `lib/modules/RELEASE` folder.
    pub fn find(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        if folder.is_dir() {
            collect(folder, &mut files)?;
        }
        let list = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
        let built_in = list
            .lines()
            .filter_map(|line| module_name(Path::new(line)))
            .collect();
        Ok(Self { files, built_in })
    }

    /// The files of all modules, in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.values().map(PathBuf::as_path)
    }

    /// The wanted modules with everything they need. A module that the kernel neither has nor builds in is an
    /// error when `required`, and left out otherwise.
    pub fn select(&self, wanted: &[String], required: bool) -> Result<Selection> {
        let mut selection = Selection::default();
        for name in wanted {
            let name = name.replace('-', "_");
            if self.built_in.contains(&name) {
                selection.index.push_str(&format!("{name} builtin\n"));
                continue;
            }
            if !self.files.contains_key(&name) {
                if required {
                    return Err(Error::Image {
                        what: format!("this kernel has no module `{name}`"),
                        help: "take it out of `modules` in vm/rootfs.toml or choose another kernel".into(),
                    });
                }
                continue;
            }
            let mut order = Vec::new();
            self.visit(&name, &mut order, &mut selection.bytes)?;
            selection.index.push_str(&format!("{name} {}\n", order.join(" ")));
        }
        Ok(selection)
    }

    /// Depth first: what a module needs is loaded before it.
    fn visit(
        &self,
        name: &str,
        order: &mut Vec<String>,
        bytes: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<()> {
        if order.iter().any(|done| done == name) || self.built_in.contains(name) {
            return Ok(());
        }
        let Some(path) = self.files.get(name) else {
            return Err(Error::Image {
                what: format!("module `{name}` is needed by another one and is not in the kernel's package"),
                help: "the package is damaged: `probelab kernels verify` checks it".into(),
            });
        };
        let plain = read_module(path)?;
        for needed in needs(&plain) {
            self.visit(&needed, order, bytes)?;
        }
        order.push(name.to_owned());
        bytes.insert(name.to_owned(), plain);
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).at("listing", folder)? {
        let path = entry.at("listing", folder)?.path();
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files)?;
        } else if let Some(name) = module_name(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `veth` of `drivers/net/veth.ko.xz`; dashes in file names are underscores in module names.
fn module_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = [".ko", ".ko.xz", ".ko.zst"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))?;
    Some(stem.replace('-', "_"))
}

/// Distributions differ in how they compress modules; the guest's own loader reads plain ones only.
fn read_module(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).at("reading", path)?;
    let mut plain = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => XzDecoder::new(bytes.as_slice()).read_to_end(&mut plain),
        Some("zst") => {
            zstd::Decoder::new(bytes.as_slice()).and_then(|mut decoder| decoder.read_to_end(&mut plain))
        }
        _ => return Ok(bytes),
    }
    .at("decompressing", path)?;
    Ok(plain)
}

/// The `depends=` entry of a module's `.modinfo`, a list of names without spaces.
fn needs(module: &[u8]) -> Vec<String> {
    let Ok(file) = object::File::parse(module) else {
        return Vec::new();
    };
    let Some(info) = file.section_by_name(".modinfo") else {
        return Vec::new();
    };
    let Ok(bytes) = info.data() else { return Vec::new() };
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix("depends="))
        .flat_map(|list| list.split(','))
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn modules_are_read_however_they_are_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(b"module").unwrap();
        let forms = [
            ("a.ko", b"module".to_vec()),
            ("b.ko.xz", xz.finish().unwrap()),
            ("c.ko.zst", zstd::encode_all(b"module".as_slice(), 0).unwrap()),
        ];
        for (name, bytes) in forms {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            assert_eq!(read_module(&path).unwrap(), b"module", "{name}");
        }
        let damaged = folder.path().join("d.ko.zst");
        fs::write(&damaged, b"module").unwrap();
        assert!(read_module(&damaged).is_err());
    }

    #[test]
    fn module_names_are_the_kernel_s() {
        assert_eq!(
            module_name(Path::new("net/sched/sch-netem.ko.xz")).as_deref(),
            Some("sch_netem")
        );
        assert_eq!(module_name(Path::new("kernel/veth.ko")).as_deref(), Some("veth"));
        assert_eq!(module_name(Path::new("net/tun.ko.zst")).as_deref(), Some("tun"));
        assert_eq!(module_name(Path::new("modules.order")), None);
    }
}
