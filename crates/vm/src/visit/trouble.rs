//! Why a machine that already runs cannot be used, and what to do about it.

/// The reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No `ssh` program.
    #[error("`ssh` could not be started")]
    NoSsh,
    /// No connection.
    #[error("it cannot be reached")]
    Unreachable,
    /// An unknown or changed host key.
    #[error("its host key is not known, or not the known one")]
    HostKey,
    /// It does not let the user in.
    #[error("it does not let this user in")]
    Login,
    /// A wrong option.
    #[error("`ssh` does not understand an option")]
    Options,
    /// A login without a shell.
    #[error("it has no `sh` for this user")]
    NoShell,
    /// Another kind of machine.
    #[error("it is {found}, and the lab's programs are for Linux on x86_64")]
    OtherMachine {
        /// What it says it is.
        found: String,
    },
    /// No rights.
    #[error("the lane needs root")]
    NotRoot,
    /// No place for a program.
    #[error("programs can be started from none of /tmp, /dev/shm, /run and the user's folders")]
    NoFolder,
    /// Nothing was heard of the program.
    #[error("the lab's program did not start there")]
    NotStarted,
    /// The connection broke.
    #[error("the connection to the lab's program was lost")]
    Lost,
    /// The program cannot go on.
    #[error("the lab's program cannot go on there: {reason}")]
    Far {
        /// Its words.
        reason: String,
    },
}

impl Trouble {
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoSsh => "install the OpenSSH client (`ci/bootstrap` does)",
            Self::Unreachable => {
                "see whether `ssh HOST` works; ports and proxies are options: --ssh-option Port=2222"
            }
            Self::HostKey => {
                "connect once by hand with `ssh HOST` and compare the key, or name a file with known keys: \
                 --ssh-option UserKnownHostsFile=FILE"
            }
            Self::Login => {
                "the lab never asks for a password: use a key or an agent, or name a key with \
                 --ssh-option IdentityFile=FILE"
            }
            Self::Options => "options are those of ssh_config(5), as in --ssh-option Port=2222",
            Self::NoShell => "use a user with a shell",
            Self::OtherMachine { .. } => "choose an x86-64 machine",
            Self::NotRoot => "use root, or a user for whom `sudo -n true` works",
            Self::NoFolder => "mount one of them without `noexec`",
            Self::NotStarted => "its last words may say why",
            Self::Lost => {
                "what ran there has ended and is gone; see the network and whether the machine is up"
            }
            Self::Far { .. } => {
                "the program and the lab must be of one build, and the machine must allow namespaces"
            }
        }
    }
}
