//! Kernel modules: loaded from the image in the order that the host worked out, without modprobe.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
};

/// Written by the host beside the modules: one line per module, its name and then everything it needs, in
/// the order to load. A module that is built into the kernel has a line `name builtin`.
const INDEX: &str = "/lib/modules/lab.index";

/// Loads modules and what they depend on.
pub fn load(names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(INDEX).context("reading the image's module index")?;
    let index = read_index(&text);
    for name in names {
        let Some(needs) = index.get(name.as_str()) else {
            bail!("module `{name}` is not in the image: add it to `modules` in vm/rootfs.toml");
        };
        for needed in needs {
            load_one(needed)?;
        }
    }
    Ok(())
}

fn read_index(text: &str) -> BTreeMap<&str, Vec<&str>> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.filter(|word| *word != "builtin").collect()))
        })
        .collect()
}

fn load_one(name: &str) -> Result<()> {
    let path = Path::new("/lib/modules").join(format!("{name}.ko"));
    let file = fs::File::open(&path).with_context(|| format!("opening module {name}"))?;
    match finit_module(&file, c"", ModuleInitFlags::empty()) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("loading module {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_tells_built_in_from_loadable() {
        let index = read_index("veth veth\nsch_netem sch_netem\nloop builtin\nvxlan udp_tunnel vxlan\n");
        assert_eq!(index["vxlan"], ["udp_tunnel", "vxlan"]);
        assert!(index["loop"].is_empty());
    }
}
