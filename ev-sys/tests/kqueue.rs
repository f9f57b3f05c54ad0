//! The bindings of kqueue against the kernel, or libkqueue.
#![cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    all(target_os = "linux", feature = "libkqueue")
))]

use std::io::{Write, pipe};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use ev_sys::errno;
use ev_sys::kqueue::{Event, Filter, Flags, Kqueue, NOTE_TRIGGER};

#[test]
fn every_change_is_answered_that_asks_for_it() {
    let queue = Kqueue::new().unwrap();
    let (reader, _writer) = pipe().unwrap();
    let fd = reader.as_raw_fd() as usize;
    let changes = [
        Event::new(fd, Filter::READ, Flags::ADD | Flags::RECEIPT),
        Event::new(fd, Filter::WRITE, Flags::DELETE | Flags::RECEIPT),
        Event::new(1_000_000_000, Filter::READ, Flags::ADD | Flags::RECEIPT),
    ];
    let mut answers = [Event::default(); 3];
    assert_eq!(queue.kevent(&changes, &mut answers, None).unwrap(), 3);
    assert_eq!(
        answers.map(|answer| answer.error()),
        [Some(0), Some(errno::ENOENT), Some(errno::EBADF)]
    );
    assert_eq!(answers.map(|answer| answer.ident()), [fd, fd, 1_000_000_000]);
    assert_eq!(answers[1].filter(), Filter::WRITE);
}

#[test]
fn reports_carry_data_and_udata() {
    let queue = Kqueue::new().unwrap();
    let (reader, mut writer) = pipe().unwrap();
    let add = Event::new(reader.as_raw_fd() as usize, Filter::READ, Flags::ADD).with_udata(usize::MAX);
    assert_eq!(queue.kevent(&[add], &mut [], None).unwrap(), 0);
    writer.write_all(b"four").unwrap();
    let mut events = [Event::default(); 2];
    assert_eq!(queue.kevent(&[], &mut events, None).unwrap(), 1);
    let event = events[0];
    assert_eq!(
        (event.filter(), event.data(), event.udata()),
        (Filter::READ, 4, usize::MAX)
    );
    assert_eq!((event.ident(), event.error()), (reader.as_raw_fd() as usize, None));
    drop(writer);
    assert_eq!(queue.kevent(&[], &mut events, None).unwrap(), 1);
    assert!(events[0].flags().contains(Flags::EOF) && events[0].fflags() == 0);
}

#[test]
fn user_sources_are_triggered() {
    let queue = Kqueue::new().unwrap();
    let source = Event::new(3, Filter::USER, Flags::ADD | Flags::CLEAR).with_udata(5);
    queue.kevent(&[source], &mut [], None).unwrap();
    let mut events = [Event::default()];
    assert_eq!(queue.kevent(&[], &mut events, Some(Duration::ZERO)).unwrap(), 0);
    let trigger = Event::new(3, Filter::USER, Flags::empty())
        .with_fflags(NOTE_TRIGGER)
        .with_udata(5);
    queue.kevent(&[trigger], &mut [], None).unwrap();
    assert_eq!(queue.kevent(&[], &mut events, None).unwrap(), 1);
    assert_eq!((events[0].filter(), events[0].udata()), (Filter::USER, 5));
}

#[test]
fn no_wait_is_short() {
    let queue = Kqueue::new().unwrap();
    for nanoseconds in [0, 1, 1_000_000, 1_200_001] {
        let timeout = Duration::from_nanos(nanoseconds);
        let start = Instant::now();
        assert_eq!(queue.kevent(&[], &mut [Event::default()], Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
    }
}
