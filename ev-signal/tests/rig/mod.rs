//! What the tests share: a process for each, and a look at descriptors.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::env;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ev_signal::{SignalError, Signals};
use ev_sys::poll::{Events, PollFd, poll};

const INSIDE: &str = "EV_SIGNAL_TEST_INSIDE";

/// Makes each function a test that runs in a process of its own: signals and their actions belong to the process.
macro_rules! tests_in_own_processes {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                rig::in_own_process(stringify!($name), || $body);
            }
        )*
    };
}
pub(crate) use tests_in_own_processes;

pub(crate) fn in_own_process(name: &str, body: fn()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let program = env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{}\n{told}",
        output.status
    );
}

/// Runs `body` in a child made by `fork`, and panics unless it returns.
pub(crate) fn in_fork(body: impl FnOnce()) {
    fork(body).succeed();
}

/// A child made by `fork`.
#[must_use = "the child must be waited for"]
pub(crate) struct Child(libc::pid_t);

/// Starts `body` in a child made by `fork`.
pub(crate) fn fork(body: impl FnOnce()) -> Child {
    // SAFETY: glibc's and musl's `fork` leave the child an allocator in working order; the child runs `body` and ends.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", io::Error::last_os_error()),
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // Without what `exit` does first: of the locks that it takes, threads of the parent may have held one.
            // SAFETY: `_exit` takes an integer and does not return.
            unsafe { libc::_exit(i32::from(outcome.is_err())) }
        }
        child => Child(child),
    }
}

impl Child {
    /// Waits until the child has ended, and panics if it failed or is still there after half a minute.
    pub(crate) fn succeed(self) {
        self.succeed_within(Duration::from_secs(30));
    }

    /// As [`Self::succeed`]; for a child's child, which has to be found hanging before its parent is.
    pub(crate) fn succeed_within(self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut status = 0;
        // SAFETY: `status` is valid for writes.
        while unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) } != self.0 {
            if Instant::now() > deadline {
                // SAFETY: `kill` takes integers; the child was not waited for, so the number is still its own.
                unsafe { libc::kill(self.0, libc::SIGKILL) };
                panic!("the child hangs");
            }
            thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(status, 0, "the child failed");
    }
}

pub(crate) fn raise(signal: i32, times: u32) {
    for _ in 0..times {
        ev_sys::signal::raise(signal).unwrap();
    }
}

/// Sends `signal` to the whole process: any thread may take it.
pub(crate) fn send(signal: i32) {
    // SAFETY: `kill` takes integers.
    assert_eq!(unsafe { libc::kill(std::process::id().cast_signed(), signal) }, 0);
}

pub(crate) fn readable(fd: impl AsFd) -> bool {
    readable_within(fd, Duration::ZERO)
}

pub(crate) fn readable_within(fd: impl AsFd, timeout: Duration) -> bool {
    let mut fds = [PollFd::new(fd.as_fd().as_raw_fd(), Events::IN)];
    loop {
        match poll(&mut fds, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.unwrap() == 1,
        }
    }
}

pub(crate) fn drained(signals: &mut Signals) -> Vec<(i32, u32)> {
    let mut came = Vec::new();
    signals.drain(|signal, times| came.push((signal, times))).unwrap();
    came
}

/// Watches every signal that can be watched, and tells which ones they are.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn watch_all(signals: &mut Signals) -> Vec<i32> {
    let mut watched = Vec::new();
    for signal in 1..=128 {
        match signals.watch(signal) {
            Ok(()) => watched.push(signal),
            Err(SignalError::Fault(_) | SignalError::Uncatchable(_)) => {}
            // The C library keeps the first real-time signals to itself.
            Err(SignalError::NoSuchSignal(_)) => {
                assert!((32..libc::SIGRTMIN()).contains(&signal) || signal > libc::SIGRTMAX());
            }
            Err(error) => panic!("{signal}: {error}"),
        }
    }
    assert!(watched.len() > 50);
    watched
}

pub(crate) fn assert_refuses_what_cannot_be_watched(signals: &mut Signals) {
    for signal in [libc::SIGKILL, libc::SIGSTOP] {
        assert!(matches!(signals.watch(signal), Err(SignalError::Uncatchable(s)) if s == signal));
    }
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
        assert!(matches!(signals.watch(signal), Err(SignalError::Fault(s)) if s == signal));
    }
    for signal in [i32::MIN, -1, 0, 129, 1000, i32::MAX] {
        assert!(matches!(signals.watch(signal), Err(SignalError::NoSuchSignal(s)) if s == signal));
        assert!(matches!(signals.unwatch(signal), Err(SignalError::NotWatched(s)) if s == signal));
    }
}
