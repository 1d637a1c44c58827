//! What types alone cannot say about a scenario file: names that must exist, values that must make sense.
//! Every fault points at the place where the word was written.

use std::{collections::BTreeSet, net::IpAddr, net::SocketAddr, ops::Range};

use toml::Spanned;

use crate::{
    BUDGET, OracleKind, Scenario, budget, builds, check_expectation,
    error::Fault,
    file::{EndKind, Link, Probe, Program, Ready, ScenarioFile},
    lab,
};

/// Source name of the daemon's metrics.
pub(crate) const PROBE: &str = "probe";
/// Source name of the daemon's exchange log.
pub(crate) const EXCHANGES: &str = "exchanges";

pub(crate) fn check(scenario: &Scenario) -> Result<(), Fault> {
    let file = &scenario.file;
    check_limits(file)?;
    check_names(scenario)?;
    for link in &file.links {
        check_link(link)?;
    }
    builds::check(file)?;
    for program in file.workloads.iter().chain(&file.loads) {
        check_program(program, file)?;
    }
    for (reference, ..) in file.probe.iter().flat_map(Probe::files) {
        check_reference(reference)?;
    }
    for output in &file.outputs {
        check_absolute(&output.path)?;
    }
    check_oracles(file)?;
    check_budget(scenario)?;
    for expectation in &scenario.expectations {
        check_expectation::check(expectation, file)?;
    }
    check_controls(scenario)
}

fn check_limits(file: &ScenarioFile) -> Result<(), Fault> {
    if !(1..=2).contains(file.cpus.get_ref()) {
        return Err(fault_at(&file.cpus, "`cpus` is 1 or 2"));
    }
    for deadline in [&file.deadline_guest_seconds, &file.deadline_wall_seconds] {
        if *deadline.get_ref() == 0 {
            return Err(fault_at(deadline, "a deadline of 0 seconds has always passed"));
        }
    }
    Ok(())
}

fn check_names(scenario: &Scenario) -> Result<(), Fault> {
    let file = &scenario.file;
    let programs = || {
        file.workloads
            .iter()
            .chain(&file.loads)
            .map(|program| &program.name)
    };
    let outputs = || file.outputs.iter().map(|output| &output.name);
    unique("program", programs())?;
    unique("output", outputs())?;
    unique("oracle", file.oracles.iter().map(|oracle| &oracle.name))?;
    unique(
        "expectation",
        scenario.expectations.iter().map(|expectation| &expectation.name),
    )?;
    for name in programs().chain(outputs()) {
        check_folder_name(name)?;
    }
    let own = lab::own_outputs(file);
    if let Some(output) = outputs().find(|output| own.contains(output.get_ref())) {
        return Err(fault_at(
            output,
            format!("`{}` is an output that every run has", output.get_ref()),
        ));
    }
    let reserved = |name: &&Spanned<String>| [PROBE, EXCHANGES].contains(&name.get_ref().as_str());
    match file.oracles.iter().map(|oracle| &oracle.name).find(reserved) {
        Some(name) => Err(fault_at(
            name,
            format!("`{}` is the probe's own source", name.get_ref()),
        )),
        None => Ok(()),
    }
}

/// A name that becomes a part of a path.
pub(crate) fn check_folder_name(name: &Spanned<String>) -> Result<(), Fault> {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let text = name.get_ref();
    if text.starts_with('.') || text.is_empty() || !text.chars().all(is_plain) {
        return Err(fault_at(name, format!("`{text}` cannot name a file or folder"))
            .help("use letters, digits, `-`, `_` and `.`"));
    }
    Ok(())
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a Spanned<String>>) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name.get_ref()) {
            return Err(fault_at(
                name,
                format!("a second {what} named `{}`", name.get_ref()),
            ));
        }
    }
    Ok(())
}

fn check_link(link: &Link) -> Result<(), Fault> {
    const LONGEST: usize = 15;
    for name in [&link.name, &link.peer] {
        if name.get_ref().is_empty() || name.get_ref().len() > LONGEST {
            return Err(fault_at(
                name,
                format!("an interface name has 1 to {LONGEST} characters"),
            ));
        }
    }
    for address in link.address.iter().chain(&link.peer_address) {
        let is_good = address.get_ref().split_once('/').is_some_and(|(ip, prefix)| {
            let longest = match ip.parse() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest)
        });
        if !is_good {
            let message = format!("`{}` is not an address with prefix length", address.get_ref());
            return Err(fault_at(address, message).help("write it like `10.0.0.1/24` or `fd00::1/64`"));
        }
    }
    Ok(())
}

fn check_program(program: &Program, file: &ScenarioFile) -> Result<(), Fault> {
    if program.command.get_ref().is_empty() {
        return Err(fault_at(&program.command, "the command is empty"));
    }
    for reference in &program.files {
        check_reference(reference)?;
    }
    if let Some(stdout) = &program.stdout {
        check_absolute(stdout)?;
    }
    let is_load = file
        .loads
        .iter()
        .any(|load| load.name.get_ref() == program.name.get_ref());
    if let Some(end) = program.end.as_ref().filter(|_| !is_load) {
        return Err(fault_at(
            end,
            "only a load has an `end`: a workload runs to the end of the job",
        ));
    }
    if let Some(namespace) = &program.namespace {
        let known = file.links.iter().filter_map(|link| link.namespace.as_deref());
        check_known("namespace", namespace, known)?;
    }
    if let Some(cgroup) = &program.cgroup {
        check_known("cgroup", cgroup, file.cgroups.keys().map(String::as_str))?;
    }
    match program
        .ready
        .as_ref()
        .map(|ready| (ready.span(), ready.get_ref()))
    {
        Some((span, Ready::Tcp(address))) => check_socket(span, address),
        Some((span, Ready::Http(url))) => check_socket(
            span,
            url.split_once('/').map_or(url.as_str(), |(address, _)| address),
        ),
        Some((span, Ready::File(path))) => check_absolute(&Spanned::new(span, path.clone())),
        None => Ok(()),
    }
}

fn check_socket(span: Range<usize>, address: &str) -> Result<(), Fault> {
    match address.parse::<SocketAddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err(
            Fault::new(span, format!("`{address}` is not an address with port"))
                .help("write it like `127.0.0.1:8000`"),
        ),
    }
}

fn check_absolute(path: &Spanned<String>) -> Result<(), Fault> {
    if path.get_ref().starts_with('/') {
        return Ok(());
    }
    Err(fault_at(
        path,
        format!("`{}` is not an absolute path in the guest", path.get_ref()),
    )
    .help(format!("outputs usually lie in `{}`", lab::OUTPUT_FOLDER)))
}

/// A file of the scenario's folder, or of a sibling's.
pub(crate) fn check_reference(reference: &Spanned<String>) -> Result<(), Fault> {
    let path = reference.get_ref();
    let (steps, siblings) = match path.strip_prefix("../") {
        Some(sibling) => (sibling.split('/'), true),
        None => (path.split('/'), false),
    };
    let steps: Vec<&str> = steps.collect();
    let is_good = steps.iter().all(|step| !["", ".", ".."].contains(step)) && (!siblings || steps.len() >= 2);
    if is_good {
        return Ok(());
    }
    Err(
        fault_at(reference, format!("`{path}` is not a file of the scenario"))
            .help("name a file below the scenario's folder, or `../SCENARIO/FILE` of another scenario"),
    )
}

fn check_oracles(file: &ScenarioFile) -> Result<(), Fault> {
    let own = lab::own_outputs(file);
    let extra = file.outputs.iter().map(|output| output.name.get_ref());
    let known: Vec<&str> = own.iter().chain(extra).map(String::as_str).collect();
    for oracle in &file.oracles {
        check_known("output", &oracle.output, known.iter().copied())?;
        let is_capture = oracle.kind == OracleKind::Capture;
        if is_capture != (oracle.output.get_ref() == lab::CAPTURE) {
            let message = format!(
                "only an oracle of kind `capture` reads `{}`, and nothing else",
                lab::CAPTURE
            );
            return Err(fault_at(&oracle.output, message));
        }
        if is_capture == oracle.http_ports.is_empty() {
            return Err(fault_at(
                &oracle.name,
                "an oracle of kind `capture`, and no other, needs `http_ports`",
            )
            .help("for example `http_ports = [8000]`"));
        }
    }
    Ok(())
}

fn check_budget(scenario: &Scenario) -> Result<(), Fault> {
    let Some(budget) = &scenario.file.budget else {
        return Ok(());
    };
    let expectations = scenario.expectations.iter().map(|expectation| &expectation.name);
    match expectations.into_iter().find(|name| name.get_ref() == BUDGET) {
        Some(name) => Err(fault_at(
            name,
            format!("`{BUDGET}` is the name of what `[budget]` says"),
        )),
        None => budget::check(budget),
    }
}

fn check_controls(scenario: &Scenario) -> Result<(), Fault> {
    let file = &scenario.file;
    for name in &file.must_fail {
        let budget = file.budget.as_ref().map(|_| BUDGET);
        check_known("expectation", name, scenario.expectations().chain(budget))?;
    }
    let Some(end) = &file.must_end else {
        if scenario.expectations.is_empty() {
            return Err(Fault::new(0..0, "a scenario without expectations can never pass")
                .help("add `[[expect]]`, or `must_end` when the guest is meant to break"));
        }
        return Ok(());
    };
    if *end.get_ref() == EndKind::Completed {
        return Err(fault_at(
            end,
            "every run must complete, unless another end is asked for",
        ));
    }
    match scenario.expectations.first() {
        Some(first) => Err(fault_at(
            &first.name,
            "a run that must not complete brings nothing to expect of",
        )),
        None => Ok(()),
    }
}

pub(crate) fn check_known<'a>(
    what: &str,
    name: &Spanned<String>,
    known: impl IntoIterator<Item = &'a str>,
) -> Result<(), Fault> {
    let known: Vec<&str> = known.into_iter().collect();
    if known.contains(&name.get_ref().as_str()) {
        return Ok(());
    }
    Err(fault_at(name, format!("unknown {what} `{}`", name.get_ref())).known(name.get_ref(), known))
}

pub(crate) fn fault_at<T>(place: &Spanned<T>, message: impl Into<String>) -> Fault {
    Fault::new(place.span(), message)
}
