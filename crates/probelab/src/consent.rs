//! Asking before something is done to a machine that others use.

use std::io::IsTerminal;

use miette::{IntoDiagnostic, Result, miette};
use vm::visit::Place;

use crate::{files::Loaded, out};

/// The scenarios with a probe that attaches XDP.
pub fn attach_xdp(scenarios: &[Loaded]) -> Vec<&str> {
    let attaches = scenarios.iter().filter(|loaded| {
        let manifests = loaded.files.iter().filter(|(name, _)| is_manifest(name));
        manifests
            .map(|(_, content)| String::from_utf8_lossy(&content.bytes))
            .any(|text| text.to_ascii_lowercase().contains("xdp"))
    });
    attaches.map(|loaded| loaded.name.as_str()).collect()
}

/// The daemon reads its manifests from such files, in our dialect or another one. What merely mentions XDP is asked
/// about, too: better once too often.
fn is_manifest(name: &str) -> bool {
    [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
}

/// Asks whether these may attach XDP on the machine of a place, when it is another one. Without a terminal nobody can
/// answer, so then it takes `--yes`.
pub fn ask_before_xdp(place: Option<&Place>, who: &[&str], yes: bool) -> Result<()> {
    let Some(place @ Place::Ssh { .. }) = place else {
        return Ok(());
    };
    if yes || who.is_empty() {
        return Ok(());
    }
    let who = who.join(", ");
    let what = format!(
        "{who} attaches XDP programs on the machine {}, on links of its own in a network namespace of its own",
        place.name()
    );
    if !std::io::stdin().is_terminal() {
        return Err(miette!(
            help = "--yes lets it do so without asking",
            "{what}, and there is no terminal to ask on"
        ));
    }
    out::err!("{what}. Continue? [y/N]");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).into_diagnostic()?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(miette!("nothing was run: {who} may not attach XDP programs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Project;

    #[test]
    fn the_scenarios_that_attach_xdp_are_known() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let project = Project::find(Some(&root)).unwrap();
        let all = project.load(&["all".to_owned()]).unwrap();
        let found = attach_xdp(&all);
        for name in ["xdp-blocklist", "xdp-overload", "xdp-blocklist-shadow-drops"] {
            assert!(found.contains(&name), "{name}: {found:?}");
        }
        for name in ["http-latency", "drop-filter", "runq-latency"] {
            assert!(!found.contains(&name), "{name}");
        }
    }

    #[test]
    fn nobody_is_asked_about_this_machine_or_with_consent() {
        let far = Place::Ssh {
            destination: "node".parse().unwrap(),
            options: Vec::new(),
        };
        assert!(ask_before_xdp(None, &["x"], false).is_ok());
        assert!(ask_before_xdp(Some(&Place::Here), &["x"], false).is_ok());
        assert!(ask_before_xdp(Some(&far), &[], false).is_ok());
        assert!(ask_before_xdp(Some(&far), &["x"], true).is_ok());
    }
}
