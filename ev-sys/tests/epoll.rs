//! The bindings of epoll and timerfd against the kernel.
#![cfg(any(target_os = "linux", target_os = "android"))]

use std::io::{self, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use ev_sys::epoll::{self, Event, Events};
use ev_sys::{errno, timerfd};

type Wait = fn(BorrowedFd<'_>, &mut [Event], Option<Duration>) -> io::Result<usize>;

const WAITS: [Wait; 2] = [epoll::wait, epoll::wait_millis];
const NOTHING: RawFd = 1_000_000_000;

fn number<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

#[test]
fn reports_carry_events_and_data() {
    let set = epoll::create().unwrap();
    let (reader, mut writer) = pipe().unwrap();
    let data = 0x0123_4567_89ab_cdef;
    epoll::add(set.as_fd(), reader.as_raw_fd(), Events::IN, data).unwrap();
    epoll::add(set.as_fd(), writer.as_raw_fd(), Events::OUT, !data).unwrap();
    writer.write_all(b"a").unwrap();
    for wait in WAITS {
        let mut events = [Event::default(); 4];
        assert_eq!(wait(set.as_fd(), &mut events, None).unwrap(), 2);
        let mut found: Vec<_> = events[..2].iter().map(|event| (event.data(), event.events())).collect();
        found.sort_unstable_by_key(|&(data, _)| data);
        assert_eq!(found, [(data, Events::IN), (!data, Events::OUT)]);
        assert_eq!(
            (events[2].data(), events[3].data()),
            (0, 0),
            "no more was written than counted"
        );
        assert_eq!(
            wait(set.as_fd(), &mut events[..1], None).unwrap(),
            1,
            "never more than there is room"
        );
    }
}

#[test]
fn targets_are_added_modified_and_deleted() {
    let set = epoll::create().unwrap();
    let set = set.as_fd();
    let (_reader, writer) = pipe().unwrap();
    let target = writer.as_raw_fd();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    assert_eq!(number(epoll::modify(set, target, Events::OUT, 1)), Some(errno::ENOENT));
    assert_eq!(number(epoll::delete(set, target)), Some(errno::ENOENT));
    epoll::add(set, target, Events::OUT, 1).unwrap();
    assert_eq!(number(epoll::add(set, target, Events::OUT, 1)), Some(errno::EEXIST));
    epoll::modify(set, target, Events::OUT | Events::ONESHOT, 2).unwrap();
    let mut events = [Event::default(); 2];
    assert_eq!(epoll::wait(set, &mut events, Some(Duration::ZERO)).unwrap(), 1);
    assert_eq!(events[0].data(), 2);
    assert_eq!(epoll::wait(set, &mut events, Some(Duration::ZERO)).unwrap(), 0);
    epoll::delete(set, target).unwrap();
    assert_eq!(number(epoll::add(set, NOTHING, Events::OUT, 1)), Some(errno::EBADF));
    assert_eq!(number(epoll::add(set, -1, Events::OUT, 1)), Some(errno::EBADF));
    assert_eq!(
        number(epoll::add(set, file.as_raw_fd(), Events::IN, 1)),
        Some(errno::EPERM)
    );
    epoll::add(set, target, Events::OUT | Events::EXCLUSIVE, 1).unwrap();
    assert_eq!(number(epoll::modify(set, target, Events::OUT, 1)), Some(errno::EINVAL));
    epoll::delete(set, target).unwrap();
    assert_eq!(
        number(epoll::add(set, target, Events::PRI | Events::EXCLUSIVE, 1)),
        Some(errno::EINVAL)
    );
}

#[test]
fn no_wait_is_short() {
    let set = epoll::create().unwrap();
    for wait in WAITS {
        for nanoseconds in [0, 1, 1_000_000, 1_200_001] {
            let timeout = Duration::from_nanos(nanoseconds);
            let start = Instant::now();
            assert_eq!(wait(set.as_fd(), &mut [Event::default()], Some(timeout)).unwrap(), 0);
            assert!(start.elapsed() >= timeout);
        }
        assert_eq!(
            number(wait(set.as_fd(), &mut [], Some(Duration::ZERO))),
            Some(errno::EINVAL)
        );
        assert_eq!(
            number(wait(io::stdin().as_fd(), &mut [Event::default()], None)),
            Some(errno::EINVAL)
        );
    }
}

#[test]
fn a_timer_expires_once_and_can_be_stopped() {
    let timer = timerfd::create().unwrap();
    let timer = timer.as_fd();
    let set = epoll::create().unwrap();
    epoll::add(set.as_fd(), timer.as_raw_fd(), Events::IN, 0).unwrap();
    let ready = |timeout| epoll::wait(set.as_fd(), &mut [Event::default()], timeout).unwrap() == 1;

    for after in [Duration::ZERO, Duration::from_micros(300)] {
        let start = Instant::now();
        timerfd::arm(timer, after).unwrap();
        assert!(ready(None));
        assert!(start.elapsed() >= after);
        assert_eq!(timerfd::expirations(timer).unwrap(), 1);
        assert_eq!(timerfd::expirations(timer).unwrap(), 0);
        assert!(!ready(Some(Duration::from_millis(1))), "once");
    }
    timerfd::arm(timer, Duration::ZERO).unwrap();
    assert!(ready(None));
    timerfd::arm(timer, Duration::MAX).unwrap();
    assert!(!ready(Some(Duration::ZERO)), "arming forgets an expiry");
    timerfd::arm(timer, Duration::ZERO).unwrap();
    assert!(ready(None));
    timerfd::disarm(timer).unwrap();
    assert!(!ready(Some(Duration::ZERO)), "disarming forgets an expiry");
    assert_eq!(number(timerfd::arm(set.as_fd(), Duration::ZERO)), Some(errno::EINVAL));
}

#[test]
fn descriptors_are_closed_on_exec() {
    for fd in [epoll::create().unwrap(), timerfd::create().unwrap()] {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        assert_ne!(
            u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000,
            0,
            "O_CLOEXEC in {flags}"
        );
    }
}
