//! Tests that need a process of one thread: to fork, and to be the thread that a signal interrupts.

#[expect(dead_code, reason = "the rig is made for the conformance tests")]
mod rig;

use std::io::pipe;
use std::process::Command;

use ev_backend::{Interest, Mode, supported};
use ev_sys::process;
use rig::{Reports, Rig};

/// The same number on every system.
const SIGALRM: i32 = 14;

fn main() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use ev_backend::EpollTimeout;

        for timeout in [EpollTimeout::Milliseconds, EpollTimeout::Timer] {
            signals_end_a_wait(Rig::epoll(timeout));
            forking::a_child_resets(Rig::epoll(timeout));
        }
        for name in supported() {
            if *name == "kqueue" {
                let skipped = b"alone: forking is SKIPPED: libkqueue starts a thread\n";
                std::io::Write::write_all(&mut std::io::stderr(), skipped).unwrap();
                continue;
            }
            forking::a_child_resets(Rig::named(name));
            forking::a_child_drops(Rig::named(name));
        }
    }
    for name in supported() {
        signals_end_a_wait(Rig::named(name));
    }
}

/// `EINTR` is no error: the wait has found nothing.
fn signals_end_a_wait(mut rig: Rig) {
    process::interrupt_on(SIGALRM).unwrap();
    let (reader, _writer) = pipe().unwrap();
    rig.set(&reader, 1, Interest::READ, Mode::Level);
    let mut alarms = Command::new("sh")
        .args(["-c", "while kill -s ALRM $PPID; do sleep 0.01; done"])
        .spawn()
        .expect("the shell starts");
    assert_eq!(rig.wait(None), Reports::new());
    alarms.kill().unwrap();
    alarms.wait().unwrap();
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod forking {
    use std::io::{Write, pipe};
    use std::process::exit;
    use std::time::Duration;

    use ev_backend::{Interest, Mode, Readiness};
    use ev_sys::process::{self, Fork};

    use crate::rig::{Reports, Rig};

    /// Runs `work` in a child, and gives the rig back when that is done.
    fn in_a_child(rig: Rig, work: impl FnOnce(Rig)) -> Rig {
        // SAFETY: nothing in this process is mapped to be shared.
        match unsafe { process::fork() }.expect("this process forks") {
            Fork::Child => {
                work(rig);
                exit(0);
            }
            Fork::Parent(child) => {
                assert!(child.wait().expect("the child ends").success());
                rig
            }
        }
    }

    /// The child changes its own registrations, and none of the parent's.
    pub(crate) fn a_child_resets(mut rig: Rig) {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"a").unwrap();
        rig.set(&reader, 1, Interest::READ, Mode::Level);
        let mut rig = in_a_child(rig, |mut rig| {
            rig.reset();
            assert_eq!(rig.now(), Reports::new());
            rig.set(&reader, 2, Interest::READ, Mode::Level);
            assert_eq!(rig.wait(None), Reports::from([(2, Readiness::READ)]));
            rig.remove(&reader);
            assert_eq!(rig.wait(Some(Duration::from_millis(2))), Reports::new());
        });
        assert_eq!(rig.wait(None), Reports::from([(1, Readiness::READ)]));
    }

    pub(crate) fn a_child_drops(mut rig: Rig) {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"a").unwrap();
        rig.set(&reader, 1, Interest::READ, Mode::Level);
        let mut rig = in_a_child(rig, drop);
        assert_eq!(rig.wait(None), Reports::from([(1, Readiness::READ)]));
    }
}
