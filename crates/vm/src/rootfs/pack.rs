//! From a tree to the archive: what the recipe adds, what it leaves out, and the same bytes wherever the tree lies.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use super::Rootfs;
use crate::{
    IoContext, Result,
    cpio::{self, Entry},
};

/// Adds to a tree what the recipe says and writes it as an archive. The tree may come from anywhere; its programs are
/// where a shell looks for them, below `usr/`.
pub fn pack(rootfs: &Rootfs, tree: &Path, archive: &Path) -> Result<()> {
    finish(rootfs, tree)?;
    write_archive(rootfs, tree, archive)
}

/// What configured packages would have made: links, folders, users, busybox's names.
fn finish(rootfs: &Rootfs, tree: &Path) -> Result<()> {
    for (name, target) in [
        ("bin", "usr/bin"),
        ("sbin", "usr/sbin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        let path = tree.join(name);
        if !path.exists() {
            std::os::unix::fs::symlink(target, &path).at("linking", &path)?;
        }
    }
    for name in ["proc", "sys", "dev", "run", "tmp", "root", "etc", "lab"] {
        let path = tree.join(name);
        fs::create_dir_all(&path).at("creating", &path)?;
    }
    for applet in &rootfs.applets {
        let path = tree.join("usr/bin").join(applet);
        if fs::symlink_metadata(&path).is_err() {
            std::os::unix::fs::symlink("busybox", &path).at("linking", &path)?;
        }
    }
    for (name, text) in &rootfs.files {
        let path = tree.join(name.trim_start_matches('/'));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).at("creating", folder)?;
        }
        fs::write(&path, text).at("writing", &path)?;
    }
    Ok(())
}

fn write_archive(rootfs: &Rootfs, tree: &Path, archive: &Path) -> Result<()> {
    let keep = |path: &Path| {
        let named = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, path));
        let dropped = named(&rootfs.drop) && !named(&rootfs.keep);
        !dropped && !is_compiled_source(rootfs, tree, path)
    };
    let mut entries = cpio::scan(tree, &keep)?;
    // The kernel opens the console for PID 1 before anything is mounted; packages bring no devices.
    entries.insert(
        b"dev/console".to_vec(),
        Entry::Device {
            mode: 0o600,
            major: 5,
            minor: 1,
        },
    );
    entries.insert(
        b"dev/null".to_vec(),
        Entry::Device {
            mode: 0o666,
            major: 1,
            minor: 3,
        },
    );
    let file = fs::File::create(archive).at("writing", archive)?;
    let mut out = BufWriter::new(file);
    cpio::write(&entries, &mut out)?;
    out.flush().at("writing", archive)
}

/// Whether a path is a Python source beside its bytecode, which the interpreter takes without it.
fn is_compiled_source(rootfs: &Rootfs, tree: &Path, path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py")
        && rootfs.python.iter().any(|folder| path.starts_with(folder))
        && tree.join(path).with_extension("pyc").exists()
}

/// Whether a path is, or lies below, the one that a pattern names; a component `*` stands for any name, and `*x` or `x*` for
/// any that ends or begins so.
fn fits(pattern: &str, path: &Path) -> bool {
    let mut components = path.components();
    pattern.split('/').all(|wanted| {
        components.next().is_some_and(|component| {
            let name = component.as_os_str().to_string_lossy();
            match wanted.split_once('*') {
                None => wanted == name,
                Some((head, tail)) => {
                    name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
                }
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_paths_take_what_is_below_them() {
        assert!(fits("usr/share/doc", Path::new("usr/share/doc/x/y")));
        assert!(!fits("usr/share/doc", Path::new("usr/share/docs")));
        assert!(!fits("usr/share/doc", Path::new("usr/share")));
        assert!(fits("usr/bin/perl*", Path::new("usr/bin/perl5.40")));
        assert!(fits(
            "usr/lib/*/gconv",
            Path::new("usr/lib/x86_64-linux-gnu/gconv/A.so")
        ));
    }

    #[test]
    fn equal_trees_give_equal_archives_wherever_they_lie() {
        let text = "suite = \"trixie\"\npackages = []\ndrop = [\"usr/share/doc\"]\npython = []\napplets = [\"ls\"]\nmodules = []\n\
                    [files]\n\"etc/hosts\" = \"127.0.0.1 localhost\\n\"\n";
        let recipe = Rootfs::parse("rootfs.toml", text).unwrap();
        let packed = |extra: Option<&str>| {
            let top = tempfile::tempdir().unwrap();
            let tree = top.path().join("tree");
            for folder in ["usr/bin", "usr/share/doc/hey", "nix/store/0a-hey/bin"] {
                fs::create_dir_all(tree.join(folder)).unwrap();
            }
            fs::write(tree.join("usr/share/doc/hey/README"), "read me").unwrap();
            fs::write(tree.join("nix/store/0a-hey/bin/hey"), extra.unwrap_or("hey")).unwrap();
            std::os::unix::fs::symlink("/nix/store/0a-hey/bin/hey", tree.join("usr/bin/hey")).unwrap();
            let archive = top.path().join("rootfs.cpio");
            pack(&recipe, &tree, &archive).unwrap();
            fs::read(archive).unwrap()
        };
        let bytes = packed(None);
        assert_eq!(bytes, packed(None));
        assert_ne!(bytes, packed(Some("yeh")));
        let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
        for name in [
            "dev/console",
            "etc/hosts",
            "usr/bin/ls",
            "busybox",
            "nix/store/0a-hey/bin/hey",
        ] {
            assert!(has(name), "{name}");
        }
        assert!(!has("read me"));
    }
}
