//! The daemon's life: attach, give up privileges, serve, and on a signal flush and detach. One thread.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use probe::loader::Loader;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::access::Access;
use crate::endpoints::{Shared, router};
use crate::otlp::Receiver;
use crate::privileges;
use crate::service::{Format, Plan, Service};
use crate::slo::Recorder;
use crate::state::Live;

/// How often it is looked who is to be watched: a container that starts is found within this.
const SELECT: Duration = Duration::from_millis(500);

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")
}

fn lock(service: &Shared) -> MutexGuard<'_, Service> {
    service.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(plan: Plan, loader: Loader) -> anyhow::Result<Shared> {
    let needs = plan.needs();
    let mut service = Service::start(plan, loader)?;
    let kept = privileges::drop_all(needs, || service.can_read()).context("cannot give up privileges")?;
    tracing::info!("attached; capabilities kept: {kept:?}");
    Ok(Arc::new(Mutex::new(service)))
}

/// Empties the ring buffers whenever the kernel says that there is something in one.
async fn follow(service: Shared, descriptor: OwnedFd) -> anyhow::Result<()> {
    // SAFETY: the descriptor is owned by the `AsyncFd`, so it stays open and the same until it is deregistered.
    let ready = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?;
    loop {
        let mut guard = ready.readable().await?;
        guard.clear_ready();
        lock(&service).drain()?;
    }
}

/// Empties the ring buffers of probes that wake nobody.
async fn drain(service: Shared) -> anyhow::Result<()> {
    let Some(interval) = lock(&service).drain_interval() else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(interval).await;
        lock(&service).drain()?;
    }
}

async fn sweep(service: Shared) -> anyhow::Result<()> {
    let Some(interval) = lock(&service).sweep_interval() else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(interval).await;
        lock(&service).sweep()?;
    }
}

/// Ends a window of the system's state every so often.
async fn look(service: Shared) -> anyhow::Result<()> {
    let Some(interval) = lock(&service).window_interval() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        lock(&service).look()?;
    }
}

async fn select(service: Shared) -> anyhow::Result<()> {
    if !lock(&service).selects() {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(SELECT).await;
        lock(&service).select()?;
    }
}

/// Where and how often all metrics are pushed.
#[derive(Debug)]
pub struct Push {
    /// To whom.
    pub receiver: Receiver,
    /// How often.
    pub interval: Duration,
}

async fn push(service: Shared, push: Option<Push>) -> anyhow::Result<()> {
    let Some(Push { receiver, interval }) = push else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(interval).await;
        let (families, span) = {
            let mut service = lock(&service);
            (service.read()?, service.span())
        };
        let result = receiver.push(&families, span).await;
        if let Err(error) = &result {
            tracing::warn!("{error:#}");
        }
        lock(&service).pushed(result.is_ok());
    }
}

/// Runs until a signal, or until `foreground` is done, or until something fails.
async fn attend(
    service: &Shared,
    foreground: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut tasks = tokio::task::JoinSet::new();
    let descriptors = lock(service).descriptors()?;
    for descriptor in descriptors {
        tasks.spawn(follow(Arc::clone(service), descriptor));
    }
    tasks.spawn(drain(Arc::clone(service)));
    tasks.spawn(sweep(Arc::clone(service)));
    tasks.spawn(look(Arc::clone(service)));
    tasks.spawn(select(Arc::clone(service)));
    let follower = lock(service).follower();
    if let Some(follower) = follower {
        tasks.spawn(follower.follow());
    }
    let result = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        result = foreground => result,
        Some(result) = tasks.join_next() => result.unwrap_or_else(|error| Err(error.into())),
    };
    tasks.shutdown().await;
    result
}

/// Where to serve, and whom.
#[derive(Debug)]
pub struct Serve {
    /// Where.
    pub address: SocketAddr,
    /// Whom.
    pub access: Access,
}

async fn serve(listener: TcpListener, routes: Router, access: &Access) -> anyhow::Result<()> {
    let routes = access.guard(routes);
    match access.tls() {
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener.into_std()?, tls)?;
            server.serve(routes.into_make_service()).await
        }
        None => axum::serve(listener, routes).await,
    }
    .context("serving failed")
}

/// Serves until SIGTERM or SIGINT. A recorder keeps the history of objectives meanwhile.
///
/// # Errors
/// When a probe cannot be attached, or serving fails.
pub fn run(
    plan: Plan,
    loader: Loader,
    to: Serve,
    pushed: Option<Push>,
    recorder: Option<Recorder>,
    live: Option<Live>,
) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        // Before the privileges go: the port may be a low one.
        let listener = TcpListener::bind(to.address)
            .await
            .with_context(|| format!("cannot listen on {}", to.address))?;
        let service = start(plan, loader)?;
        lock(&service).watch_state(live);
        let scheme = if to.access.tls().is_some() {
            "https"
        } else {
            "http"
        };
        tracing::info!("serving {scheme}://{}/metrics", listener.local_addr()?);
        if let Some(warning) = to.access.warning(to.address) {
            tracing::warn!("{warning}");
        }
        let mut routes = router(Arc::clone(&service));
        if let Some(recorder) = &recorder {
            routes = routes.merge(recorder.router(Arc::clone(&service)));
        }
        let served = serve(listener, routes, &to.access);
        let pushing = push(Arc::clone(&service), pushed);
        attend(&service, async {
            let recorded = Recorder::follow(recorder.as_ref(), &service);
            tokio::select! {
                both = async { tokio::try_join!(served, pushing) } => both.map(|_| ()),
                result = recorded => result,
            }
        })
        .await?;
        lock(&service).drain()
    })
}

/// Watches for a while, prints all metrics, and is done.
///
/// # Errors
/// When a probe cannot be attached or is silent, or its counters cannot be read.
pub fn once(plan: Plan, loader: Loader, watch: Duration, format: Format) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let service = start(plan, loader)?;
        attend(&service, async {
            tokio::time::sleep(watch).await;
            Ok(())
        })
        .await?;
        let mut service = lock(&service);
        print!("{}", service.scrape(format)?);
        let unready = service.unready();
        if !unready.is_empty() {
            anyhow::bail!("{}", unready.join("; "));
        }
        Ok(())
    })
}
