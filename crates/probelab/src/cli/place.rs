//! Where runs happen, as options.

use std::str::FromStr;

use clap::Args;
use miette::{Result, miette};
use vm::visit::{Destination, Place, SshOption};
use wire::Lane;

/// A lane as it is written: its name, or `ssh:HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneChoice {
    /// Deterministic.
    Virtual,
    /// Hardware virtualisation.
    Kvm,
    /// This machine's kernel.
    Host,
    /// The kernel of a machine that `ssh` reaches.
    Ssh(Destination),
}

impl FromStr for LaneChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "virtual" => Ok(Self::Virtual),
            "kvm" => Ok(Self::Kvm),
            "host" => Ok(Self::Host),
            other => match other.split_once(':') {
                Some(("ssh", host)) => host.parse().map(Self::Ssh).map_err(|error| format!("{error}")),
                _ => Err(format!(
                    "unknown lane `{other}`: use virtual, kvm, host or ssh:HOST"
                )),
            },
        }
    }
}

impl LaneChoice {
    /// The lane without its machine.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Virtual => Lane::Virtual,
            Self::Kvm => Lane::Kvm,
            Self::Host => Lane::Host,
            Self::Ssh(_) => Lane::Ssh,
        }
    }
}

/// Where runs happen.
#[derive(Debug, Args)]
pub struct Where {
    /// virtual (deterministic), kvm (real time), host (this machine's kernel), ssh:HOST (the kernel of a machine that
    /// `ssh` reaches)
    #[arg(long, default_value = "virtual", value_name = "LANE")]
    pub lane: LaneChoice,
    /// With ssh:HOST: an option of `ssh`, such as Port=2222; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub ssh_option: Vec<SshOption>,
    /// With ssh:HOST: attach XDP programs there without asking
    #[arg(long)]
    pub yes: bool,
}

impl Where {
    /// The machine of a lane on a kernel that already runs; nothing in the other lanes.
    pub fn place(&self) -> Result<Option<Place>> {
        let is_ssh = matches!(self.lane, LaneChoice::Ssh(_));
        if !is_ssh && !self.ssh_option.is_empty() {
            return Err(miette!(
                help = "for example --lane ssh:HOST --ssh-option Port=2222",
                "--ssh-option is for the ssh lane"
            ));
        }
        Ok(match &self.lane {
            LaneChoice::Virtual | LaneChoice::Kvm => None,
            LaneChoice::Host => Some(Place::Here),
            LaneChoice::Ssh(destination) => Some(Place::Ssh {
                destination: destination.clone(),
                options: self.ssh_option.clone(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_a_name_and_for_ssh_a_machine() {
        let lane = |text: &str| text.parse::<LaneChoice>().map(|choice| choice.lane());
        assert_eq!(lane("virtual"), Ok(Lane::Virtual));
        assert_eq!(lane("kvm"), Ok(Lane::Kvm));
        assert_eq!(lane("host"), Ok(Lane::Host));
        assert_eq!(lane("ssh:root@node"), Ok(Lane::Ssh));
        assert_eq!(
            "ssh:fe80::1".parse(),
            Ok(LaneChoice::Ssh("fe80::1".parse().unwrap()))
        );
    }

    #[test]
    fn a_machine_is_named_and_is_no_option() {
        let error = |text: &str| text.parse::<LaneChoice>().unwrap_err();
        assert!(error("ssh:").contains("no machine is named"));
        assert!(error("ssh:-oProxyCommand=x").contains("begins with a dash"));
        for unknown in ["ssh", "host:x", "metal"] {
            assert!(error(unknown).contains("ssh:HOST"), "{unknown}");
        }
    }
}
