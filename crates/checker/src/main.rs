//! `checker`: checks BPF objects that it has never seen on the kernel it runs on. Does an object load, what does the
//! verifier count, does each program attach where its section says, does it run under a stimulus, and what does a run
//! cost.
//!
//! It is a program of its own, put into the guest by `probelab check`: the guest's PID 1 would carry two BPF loaders in
//! every checkpoint, and `probed` is what nodes run. It knows no probe of ours.
//!
//! ```text
//! checker serve SOCKET                                      # before the checkpoint
//! checker ask SOCKET OUT LOADER[,LOADER] OBJECT.bpf.o …     # after it; writes wire::Findings to OUT
//! checker peers OUT                                         # the tools of the guest's own packages
//! ```

mod by_aya;
mod by_libbpf;
mod calibrate;
mod child;
mod examine;
mod frames;
mod hang;
mod loaded;
mod object_file;
mod peers;
mod place;
mod props;
mod reason;
mod rounds;
mod serve;
mod stimulus;
mod verifier;
mod words;

use std::path::Path;

use anyhow::{Result, bail};
use wire::Loader;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let Err(error) = run(&arguments) {
        eprintln!("checker: {error:#}");
        std::process::exit(1);
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["serve", socket] => serve::serve(Path::new(socket)),
        ["ask", socket, out, loaders, objects @ ..] => {
            let loaders: Result<Vec<Loader>, String> = loaders.split(',').map(str::parse).collect();
            let request = serve::Request {
                loaders: loaders.map_err(anyhow::Error::msg)?,
                objects: objects.iter().map(|object| (*object).to_owned()).collect(),
                out: (*out).to_owned(),
            };
            serve::ask(Path::new(socket), &request)
        }
        ["peers", out] => peers::try_all(Path::new(out)),
        _ => bail!("this program runs in Probelab's virtual machines; see `probelab check`"),
    }
}
