//! How loops and threads are put together.
//!
//! ```text
//! single   accept ─► serve ─► read files              one thread
//! pool     accept ─► serve ◄─┬─► read files           one thread, and N
//!                            └─► read files …
//! multi    accept ─┬─► serve ─► read files            one thread, and N
//!                  └─► serve ─► read files …
//! ```

use std::io::{self, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use ev_core::{Context, EventLoop, Remote, RunMode};
use ev_sys::process::raise_descriptor_limit;

use crate::accept::{self, Entrance, Guest, Host};
use crate::args::{Options, Shape};
use crate::jobs::{Jobs, Pool};
use crate::serve::Server;
use crate::site::Site;

/// Serves the files below `root`, which is canonical, until a signal ends it.
///
/// # Errors
///
/// The kernel's.
pub(crate) fn run(options: &Options, listener: TcpListener, root: &Arc<Path>) -> io::Result<()> {
    let entrance = Entrance {
        listener,
        connections: options.max_connections.get(),
        descriptors: raise_descriptor_limit().unwrap_or(u64::MAX),
    };
    match options.shape {
        Shape::Single => single(options, entrance, root),
        Shape::Pool => pool(options, entrance, root),
        Shape::Multi => multi(options, entrance, root),
    }
}

fn single(options: &Options, entrance: Entrance, root: &Arc<Path>) -> io::Result<()> {
    let mut lp = EventLoop::new()?;
    let mut server = Server::new(&mut lp, options, Jobs::Here(Site::new(Arc::clone(root))))?;
    host(&mut lp, &mut server, options, entrance)
}

fn pool(options: &Options, entrance: Entrance, root: &Arc<Path>) -> io::Result<()> {
    let mut lp = EventLoop::new()?;
    let (pool, jobs) = Pool::start(threads(options), root, &lp.remote()?)?;
    let mut server = Server::new(&mut lp, options, jobs)?;
    let ended = host(&mut lp, &mut server, options, entrance);
    drop(server);
    pool.join();
    ended
}

fn multi(options: &Options, entrance: Entrance, root: &Arc<Path>) -> io::Result<()> {
    let mut lp = EventLoop::new()?;
    let remote = lp.remote()?;
    let members = (0..threads(options))
        .map(|number| Member::start(number, options, root, &remote))
        .collect::<io::Result<_>>()?;
    let mut fleet = Fleet { members, next: 0 };
    let ended = host(&mut lp, &mut fleet, options, entrance);
    let members: Vec<io::Result<()>> = fleet.members.into_iter().map(Member::end).collect();
    members.into_iter().chain([ended]).collect()
}

/// Runs the loop that accepts.
fn host<H: Host>(lp: &mut EventLoop<H>, host: &mut H, options: &Options, entrance: Entrance) -> io::Result<()> {
    let address = entrance.listener.local_addr()?;
    accept::start(lp, entrance)?;
    // Serving does not depend on somebody reading this.
    let _ = writeln!(io::stdout(), "serving {} at http://{address}/", options.root.display());
    lp.run_with(RunMode::FOREVER, host)?;
    Ok(())
}

fn threads(options: &Options) -> usize {
    options
        .threads
        .or(thread::available_parallelism().ok())
        .map_or(1, usize::from)
}

/// The loops that serve, as the one that accepts sees them.
struct Fleet {
    members: Vec<Member>,
    /// Whose turn it is.
    next: usize,
}

/// A loop that serves, in a thread of its own.
struct Member {
    remote: Remote<Server>,
    thread: JoinHandle<io::Result<()>>,
}

impl Host for Fleet {
    fn admit(cx: &mut Context<'_, Self>, guest: Guest) {
        let Self { members, next } = &mut *cx.state;
        *next = (*next + 1) % members.len();
        // Refused only when the loop is gone: then the guest is dropped.
        let _ = members[*next].remote.post(|cx| Server::admit(cx, guest));
    }

    fn stop(cx: &mut Context<'_, Self>) {
        for member in &cx.state.members {
            let _ = member.remote.post(Server::stop);
        }
    }
}

impl Member {
    /// Starts the thread, and waits until its loop can be reached. Should the loop fail later, `host` is stopped.
    fn start(number: usize, options: &Options, root: &Arc<Path>, host: &Remote<Fleet>) -> io::Result<Self> {
        let (options, root, host) = (options.clone(), Arc::clone(root), host.clone());
        let (ready, remote) = mpsc::channel();
        let thread = thread::Builder::new().name(format!("loop-{number}")).spawn(move || {
            let mut lp = EventLoop::new()?;
            let mut server = Server::new(&mut lp, &options, Jobs::Here(Site::new(root)))?;
            let _ = ready.send(lp.remote()?);
            let ended = lp.run_with(RunMode::FOREVER, &mut server);
            let _ = host.stop();
            ended.map(drop)
        })?;
        match remote.recv() {
            Ok(remote) => Ok(Self { remote, thread }),
            Err(_) => Err(join(thread).expect_err("the loop ended before it ran")),
        }
    }

    fn end(self) -> io::Result<()> {
        let _ = self.remote.stop();
        join(self.thread)
    }
}

fn join(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a loop panicked")))
}
