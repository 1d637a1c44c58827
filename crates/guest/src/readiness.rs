//! Waiting until a program is ready.

use std::{net::TcpStream, path::Path, time::Duration};

use wire::Readiness;

use crate::{
    get::get,
    process::{POLL, Running, last_words},
    step::{Failure, not_ready},
};

/// Guest time that a program has to become ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for `readiness`; a program that ends before is not waited for.
pub fn wait(running: &mut Running, readiness: &Readiness) -> Result<(), Failure> {
    let mut waited = Duration::ZERO;
    while !is_ready(readiness) {
        let name = running.name.clone();
        if let Ok(Some(status)) = running.ended() {
            return Err(not_ready(
                &name,
                format!("it ended with {status}: {}", last_words(&name)),
            ));
        }
        if waited >= PATIENCE {
            let reason = format!(
                "{} after {} s; its last words: {}",
                description(readiness),
                PATIENCE.as_secs(),
                last_words(&name)
            );
            return Err(not_ready(&name, reason));
        }
        std::thread::sleep(POLL);
        waited += POLL;
    }
    Ok(())
}

fn is_ready(readiness: &Readiness) -> bool {
    match readiness {
        Readiness::Tcp(address) => TcpStream::connect(address).is_ok(),
        Readiness::Http { address, path } => get(address, path, "*/*").is_ok_and(|(status, _)| status == 200),
        Readiness::File(path) => Path::new(path).exists(),
    }
}

fn description(readiness: &Readiness) -> String {
    match readiness {
        Readiness::Tcp(address) => format!("nothing accepts connections at {address}"),
        Readiness::Http { address, path } => format!("GET {path} at {address} does not answer 200"),
        Readiness::File(path) => format!("{path} does not exist"),
    }
}
