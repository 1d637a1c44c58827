//! Setting the stage: everything before the checkpoint.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result};
use wire::{File, Stage};

use crate::{
    modules, network,
    process::{self, Children, LOGS},
    readiness,
    step::{Failure, InStep},
};

/// Does what the stage says; the started programs keep running.
pub fn set(stage: &Stage, blobs: &[&[u8]]) -> Result<Children, Failure> {
    fs::create_dir_all(LOGS)
        .context("creating the log folder")
        .in_step("stage")?;
    fs::create_dir_all("/lab/out")
        .context("creating the output folder")
        .in_step("stage")?;
    write_files(&stage.files, blobs).in_step("stage")?;
    modules::load(&stage.modules).in_step("modules")?;
    network::loopback().in_step("network")?;
    for link in &stage.links {
        network::create(link).in_step("network")?;
    }
    create_cgroups(&stage.cgroups).in_step("cgroups")?;
    let mut children = Children::new();
    for workload in &stage.workloads {
        let mut running = process::start(workload).in_step("workload")?;
        if let Some(ready) = &workload.ready {
            readiness::wait(&mut running, ready)?;
        }
        children.push(running);
    }
    Ok(children)
}

/// Writes the files of a message.
pub fn write_files(files: &[File], blobs: &[&[u8]]) -> Result<()> {
    for file in files {
        let path = Path::new(&file.path);
        let bytes = blobs
            .get(file.blob)
            .with_context(|| format!("no bytes came for {}", file.path))?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, bytes).with_context(|| format!("writing {}", file.path))?;
        fs::set_permissions(path, fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

fn create_cgroups(cgroups: &BTreeMap<String, BTreeMap<String, String>>) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    // Only the root of all has no type. Another one has got its controllers from whoever made it.
    if !cgroups.is_empty() && !root.join("cgroup.type").exists() {
        fs::write(root.join("cgroup.subtree_control"), "+cpu +memory +pids")
            .context("giving controllers to control groups")?;
    }
    for (name, settings) in cgroups {
        let folder = root.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("creating the control group {name}"))?;
        for (file, value) in settings {
            fs::write(folder.join(file), value).with_context(|| format!("setting {file} of {name}"))?;
        }
    }
    Ok(())
}
