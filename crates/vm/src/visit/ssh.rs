//! The `ssh` program: which machine, which options, and what its words mean.

use std::str::FromStr;

use super::Trouble;

/// What `ssh` takes as its destination: a name of the user's configuration, `user@host`, an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(String);

/// What cannot be a destination or an option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// Nothing is named.
    #[error("no machine is named: `ssh:HOST`, where HOST is what `ssh` takes")]
    Empty,
    /// `ssh` would take it for an option.
    #[error("`{0}` begins with a dash, so that `ssh` would take it for an option; see --ssh-option")]
    Dash(String),
    /// Not one word.
    #[error("`{0}` is not one word")]
    Words(String),
    /// An option of another form.
    #[error("`{0}` is not of the form KEY=VALUE, as in Port=2222")]
    Option(String),
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(DestinationError::Empty);
        }
        // `user@-x` would be refused by ssh itself, but a program in between may not.
        if text.starts_with('-') || text.contains("@-") {
            return Err(DestinationError::Dash(text.to_owned()));
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(DestinationError::Words(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Destination {
    /// The destination with nothing in it that a file name cannot have.
    pub fn file_name(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
        self.0
            .chars()
            .map(|c| if is_plain(c) { c } else { '-' })
            .collect()
    }
}

/// An option as `ssh -o` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshOption(String);

impl FromStr for SshOption {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || DestinationError::Option(text.to_owned());
        let (key, _) = text.split_once('=').ok_or_else(wrong)?;
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric());
        if is_key && !text.contains(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(wrong())
        }
    }
}

/// Options of every connection. `ssh` takes the first value of each, so those of the user go before.
const OPTIONS: [&str; 10] = [
    // It runs beside progress bars and in CI: what it would ask for is an error with its words.
    "BatchMode=yes",
    "ConnectTimeout=20",
    // Half a minute without an answer is a broken connection.
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    // The root filesystem becomes a third.
    "Compression=yes",
    // Nothing of the user's configuration but the way to the machine.
    "ClearAllForwardings=yes",
    "ControlMaster=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
];

/// The arguments of `ssh`. What runs there is `sh`, whatever shell the user has; its script comes by standard input.
pub fn arguments(destination: &Destination, options: &[SshOption]) -> Vec<String> {
    let theirs = options.iter().map(|option| option.0.clone());
    let all = theirs.chain(OPTIONS.map(str::to_owned));
    let mut arguments: Vec<String> = all.flat_map(|option| ["-o".to_owned(), option]).collect();
    arguments.extend(["--", &destination.0, "exec sh"].map(str::to_owned));
    arguments
}

/// What `ssh` means when it ends before the far side has said a word.
pub fn trouble(words: &str) -> Trouble {
    const SIGNS: [(&str, Trouble); 9] = [
        ("Host key verification failed", Trouble::HostKey),
        ("REMOTE HOST IDENTIFICATION HAS CHANGED", Trouble::HostKey),
        ("Permission denied", Trouble::Login),
        ("Too many authentication failures", Trouble::Login),
        ("Bad configuration option", Trouble::Options),
        ("command-line", Trouble::Options),
        ("not allowed", Trouble::Login),
        ("exec sh", Trouble::NoShell),
        ("This account is currently not available", Trouble::NoShell),
    ];
    let sign = SIGNS.into_iter().find(|(sign, _)| words.contains(sign));
    sign.map_or(Trouble::Unreachable, |(_, trouble)| trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_one_word_that_is_no_option() {
        for good in ["node-1", "root@10.0.0.5", "lima-default", "user@fe80::1%eth0"] {
            assert_eq!(good.parse::<Destination>().unwrap().to_string(), good);
        }
        assert_eq!("".parse::<Destination>(), Err(DestinationError::Empty));
        for dash in ["-oProxyCommand=x", "-", "root@-oProxyCommand=x"] {
            assert_eq!(
                dash.parse::<Destination>(),
                Err(DestinationError::Dash(dash.into()))
            );
        }
        for words in ["a b", "a\nb", " a", "a\u{7}"] {
            assert_eq!(
                words.parse::<Destination>(),
                Err(DestinationError::Words(words.into()))
            );
        }
    }

    #[test]
    fn the_name_of_a_kernel_is_a_file_name() {
        let name = |text: &str| text.parse::<Destination>().unwrap().file_name();
        assert_eq!(name("root@node-1.lan"), "root@node-1.lan");
        assert_eq!(name("root@fe80::1%eth0"), "root@fe80--1-eth0");
        assert_eq!(name("../../etc/x"), "..-..-etc-x");
    }

    #[test]
    fn options_have_a_key_and_a_value() {
        for good in ["Port=2222", "ProxyJump=a@b", "IdentityFile=/a b", "User="] {
            assert!(good.parse::<SshOption>().is_ok(), "{good}");
        }
        for bad in ["Port", "=1", "-p=1", "Po rt=1", "Port=1\nUser=x"] {
            assert_eq!(
                bad.parse::<SshOption>(),
                Err(DestinationError::Option(bad.into()))
            );
        }
    }

    #[test]
    fn the_user_s_options_go_before_ours_and_the_destination_is_never_one() {
        let options = ["Compression=no".parse().unwrap()];
        let arguments = arguments(&"node".parse().unwrap(), &options);
        assert_eq!(arguments[..4], ["-o", "Compression=no", "-o", "BatchMode=yes"]);
        assert_eq!(arguments[arguments.len() - 3..], ["--", "node", "exec sh"]);
    }

    #[test]
    fn the_words_of_ssh_are_understood() {
        for (words, expected) in [
            ("Host key verification failed.", Trouble::HostKey),
            ("root@h: Permission denied (publickey).", Trouble::Login),
            (
                "command-line: line 0: Bad configuration option: prot",
                Trouble::Options,
            ),
            (
                "ssh: connect to host h port 22: Connection refused",
                Trouble::Unreachable,
            ),
            (
                "ssh: Could not resolve hostname h: Name or service not known",
                Trouble::Unreachable,
            ),
        ] {
            assert_eq!(trouble(words), expected, "{words}");
        }
    }
}
