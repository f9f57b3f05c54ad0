//! What scenarios share: a log that callbacks write to, and sockets.

use std::fmt::Debug;
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ev_core::backend::{Backend, UpdateError};
use ev_core::{Causes, Describe, Error, EventKey, EventLoop, Features, Fired, LoopHandle, RunMode, SharedLoop, Timer};

use crate::counted::{Counted, Waits};
use crate::events::{Events, Loop};
use crate::harness::{Skip, Verdict};

/// Longer than any scenario takes.
pub const HOUR: Duration = Duration::from_hours(1);

/// What happened, in order. Clones share it.
pub struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone + PartialEq + Debug> Log<T> {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    pub fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// What was logged since the last call.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A callback that does nothing but log `entry`.
    pub fn noting(&self, entry: T) -> impl FnMut(&mut Events<'_>, &mut (), Fired) + Send + use<T>
    where
        T: Send + 'static,
    {
        let log = self.clone();
        move |_, (), _| log.push(entry.clone())
    }

    /// A closure that does nothing but log `entry`.
    pub fn note(&self, entry: T) -> impl FnOnce(&mut Events<'_>) + Send + use<T>
    where
        T: Send + 'static,
    {
        let log = self.clone();
        move |_| log.push(entry)
    }

    /// A hook for before the wait that does nothing but log `entry`.
    pub fn noting_prepare(&self, entry: T) -> impl FnMut(&mut Events<'_>, Option<Duration>) + Send + use<T>
    where
        T: Send + 'static,
    {
        let log = self.clone();
        move |_, _| log.push(entry.clone())
    }

    /// A hook for after the wait that does nothing but log `entry`.
    pub fn noting_check(&self, entry: T) -> impl FnMut(&mut Events<'_>) + Send + use<T>
    where
        T: Send + 'static,
    {
        let log = self.clone();
        move |_| log.push(entry.clone())
    }

    /// Something that logs `entry` when it is dropped.
    pub fn on_drop(&self, entry: T) -> OnDrop<T> {
        OnDrop {
            log: self.clone(),
            entry,
        }
    }
}

/// From [`Log::on_drop`].
pub struct OnDrop<T: Clone + PartialEq + Debug> {
    log: Log<T>,
    entry: T,
}

impl<T: Clone + PartialEq + Debug> Drop for OnDrop<T> {
    fn drop(&mut self) {
        self.log.push(self.entry.clone());
    }
}

/// Lets every clock with a resolution of a microsecond move.
pub fn let_time_pass() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(2) {}
}

/// A connected pair of non-blocking stream sockets.
pub fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().expect("a socket pair");
    near.set_nonblocking(true).expect("a flag");
    far.set_nonblocking(true).expect("a flag");
    (near, far)
}

/// A pair whose first socket has that number, which is free.
pub fn pair_with(number: RawFd) -> (UnixStream, UnixStream) {
    let (near, far) = pair();
    let ordered = if near.as_raw_fd() == number {
        (near, far)
    } else {
        (far, near)
    };
    assert_eq!(ordered.0.as_raw_fd(), number);
    ordered
}

/// A pair with something to read on the first.
pub fn ready_pair() -> (UnixStream, UnixStream) {
    let (near, mut far) = pair();
    far.write_all(b"x").expect("there is room");
    (near, far)
}

/// A connected pair of TCP sockets on the loopback.
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

/// Writes until the other end takes no more.
pub fn fill(mut writer: impl Write) {
    loop {
        match writer.write(&[0; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Inserts an event that logs its causes and does nothing else.
pub fn watch<B, D>(lp: &mut Loop<B>, event: D) -> (EventKey, Log<Causes>)
where
    B: Backend + 'static,
    D: Describe<Source: Send + 'static>,
{
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(event, move |_, _, fired| seen.push(fired.causes()));
    (key, log)
}

/// Makes events active, in this order.
pub fn activate<B: Backend + 'static>(lp: &mut Loop<B>, keys: &[EventKey]) {
    for &key in keys {
        lp.events().activate(key, Causes::empty()).unwrap();
    }
}

/// How often the loop asks the kernel while its other events are silent for a while. Once is perfect.
pub fn idle_waits(lp: &mut Loop<Counted>, waits: &Waits) -> usize {
    let timer = lp
        .events()
        .insert(Timer::after(Duration::from_millis(20)), |_, (), _| {});
    waits.take();
    lp.run_with(RunMode::ONCE);
    lp.events().remove(timer).unwrap();
    waits.take()
}

/// Skips where the backend lacks a feature.
pub fn need<B: Backend + 'static>(lp: &mut Loop<B>, feature: Features, reason: &'static str) -> Verdict {
    if lp.events().features().contains(feature) {
        Ok(())
    } else {
        Err(Skip(reason))
    }
}

/// The kernel has refused an event's descriptor with this error.
pub fn assert_errno<T: Debug>(refused: Result<T, Error>, number: i32) {
    match refused {
        Err(Error::Update(UpdateError::Io(error))) => assert_eq!(error.raw_os_error(), Some(number)),
        other => panic!("{other:?}"),
    }
}

const LOCAL: Skip = Skip("other threads cannot reach a local loop's events");

/// Skips where the loop is not a shared one.
pub fn shared<B: Backend>(lp: Loop<B>) -> Result<SharedLoop<B>, Skip> {
    match lp {
        Loop::Shared(lp) => Ok(lp),
        Loop::Local(_) => Err(LOCAL),
    }
}

/// Skips where the loop is a shared one, which does not tell its turn's reading of the clock.
pub fn local<B: Backend>(lp: Loop<B>) -> Result<EventLoop<(), B>, Skip> {
    match lp {
        Loop::Local(lp) => Ok(lp),
        Loop::Shared(_) => Err(Skip("a shared loop's clock is never a turn's")),
    }
}

/// A handle to the events of a shared loop.
pub fn handle<B: Backend>(lp: &Loop<B>) -> Result<LoopHandle<B>, Skip> {
    match lp {
        Loop::Shared(lp) => Ok(lp.handle()),
        Loop::Local(_) => Err(LOCAL),
    }
}

/// Waits until the main thread, which runs the loop, sleeps. Where that cannot be seen it does not wait, and the
/// scenario holds for a loop that is awake.
pub fn until_main_sleeps() {
    let path = format!("/proc/self/task/{}/stat", process::id());
    while let Ok(stat) = fs::read_to_string(&path) {
        // `pid (name) state …`
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return;
        }
        thread::yield_now();
    }
}
