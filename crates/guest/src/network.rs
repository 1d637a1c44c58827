//! Loopback, veth pairs and network namespaces, by iproute2.

use anyhow::{Context, Result, bail};
use wire::Link;

/// Brings the loopback interface up.
pub fn loopback() -> Result<()> {
    ip("link set lo up")
}

/// Creates a veth pair, its far end in a namespace when one is named.
pub fn create(link: &Link) -> Result<()> {
    let mtu = link
        .mtu_bytes
        .map(|bytes| format!(" mtu {bytes}"))
        .unwrap_or_default();
    ip(&format!(
        "link add {}{mtu} type veth peer name {}{mtu}",
        link.name, link.peer
    ))?;
    configure("", &link.name, &link.address)?;
    let Some(namespace) = &link.namespace else {
        return configure("", &link.peer, &link.peer_address);
    };
    if !std::path::Path::new("/run/netns").join(namespace).exists() {
        ip(&format!("netns add {namespace}"))?;
        ip(&format!("-n {namespace} link set lo up"))?;
    }
    ip(&format!("link set {} netns {namespace}", link.peer))?;
    configure(&format!("-n {namespace} "), &link.peer, &link.peer_address)
}

fn configure(prefix: &str, interface: &str, addresses: &[String]) -> Result<()> {
    for address in addresses {
        // Duplicate address detection would leave an IPv6 address unusable for a second of guest time.
        let nodad = if address.contains(':') { " nodad" } else { "" };
        ip(&format!("{prefix}address add {address} dev {interface}{nodad}"))?;
    }
    ip(&format!("{prefix}link set {interface} up"))
}

fn ip(arguments: &str) -> Result<()> {
    let output = std::process::Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .context("starting `ip` (is iproute2 in the image?)")?;
    if !output.status.success() {
        bail!(
            "`ip {arguments}` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
