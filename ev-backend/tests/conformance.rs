//! One set of tests over every backend: what it can do it does, and what it cannot it refuses by type.

mod rig;

use std::fs::File;
use std::io::{Read, Write, pipe, stderr};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use ev_backend::{Backend, Change, Features, Interest, Mode, Readiness, Registration, Tag, UpdateError, Waiter};
use ev_sys::{errno, fdio, process, socket};
use rig::{BROKEN, Reports, Rig};

const READ: Interest = Interest::READ;
const WRITE: Interest = Interest::WRITE;
const BOTH: Interest = READ.union(WRITE);

/// Makes a module of each test, with a test for each backend.
macro_rules! for_every_backend {
    ($($test:ident)*) => {$(
        mod $test {
            use super::Rig;

            #[cfg(any(target_os = "linux", target_os = "android"))]
            mod epoll {
                use super::Rig;
                use ev_backend::EpollTimeout;

                #[test]
                fn nanoseconds() {
                    crate::$test(&mut Rig::epoll(EpollTimeout::Nanoseconds));
                }

                #[test]
                fn milliseconds() {
                    crate::$test(&mut Rig::epoll(EpollTimeout::Milliseconds));
                }

                #[test]
                fn timer() {
                    crate::$test(&mut Rig::epoll(EpollTimeout::Timer));
                }
            }

            #[cfg(any(not(any(target_os = "linux", target_os = "android")), feature = "libkqueue"))]
            #[test]
            fn kqueue() {
                crate::$test(&mut Rig::named("kqueue"));
            }

            #[test]
            fn poll() {
                crate::$test(&mut Rig::named("poll"));
            }

            #[test]
            fn select() {
                crate::$test(&mut Rig::named("select"));
            }
        }
    )*};
}

for_every_backend! {
    the_name_is_listed
    nothing_is_ready
    reading
    writing
    both_directions
    a_pipe_without_writer
    a_pipe_without_reader
    a_reader_of_a_pipe_without_reader
    the_peer_closes_its_side
    the_peer_closes_both_sides
    a_reset_connection
    priority_data
    errors_alone
    one_shot
    one_shot_of_both_directions
    one_shot_armed_between_report_and_turn
    edges
    exclusive
    regular_files
    no_interest
    the_tag_of_the_last_update
    every_tag
    an_interest_shrinks_and_grows
    the_mode_changes
    removed
    removed_twice_and_after_close
    adding_a_closed_descriptor
    a_refused_update_changes_nothing
    closed_while_registered
    closed_and_reused
    reused_while_a_duplicate_lives
    never_early
    without_end
    long_timeouts
    many_descriptors
    reports_are_given_once
    a_wait_drops_reports_not_taken
    every_descriptor_is_first_in_turn
    reset_forgets_everything
    updates_during_a_wait
}

fn reports<const N: usize>(reports: [(u64, Readiness); N]) -> Reports {
    Reports::from(reports)
}

fn nonblocking_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    fdio::set_nonblocking(reader.as_fd()).unwrap();
    fdio::set_nonblocking(writer.as_fd()).unwrap();
    (reader, writer)
}

fn fill(writer: &mut impl Write) {
    while writer.write(&[0; 4096]).is_ok() {}
    while writer.write(&[0; 1]).is_ok() {}
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

fn the_name_is_listed(rig: &mut Rig) {
    assert!(ev_backend::supported().contains(&rig.backend.name()));
}

fn nothing_is_ready(rig: &mut Rig) {
    let (reader, _writer) = pipe().unwrap();
    assert_eq!(rig.now(), reports([]));
    rig.set(&reader, 1, READ, Mode::Level);
    assert_eq!(rig.now(), reports([]));
}

fn reading(rig: &mut Rig) {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    rig.set(&ours, 1, READ, Mode::Level);
    theirs.write_all(b"ab").unwrap();
    for _ in 0..3 {
        assert_eq!(
            rig.wait(None),
            reports([(1, Readiness::READ)]),
            "for as long as it holds"
        );
        assert_eq!(rig.now(), reports([(1, Readiness::READ)]));
    }
    ours.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(rig.now(), reports([]));
}

fn writing(rig: &mut Rig) {
    let (mut reader, mut writer) = nonblocking_pipe();
    rig.set(&writer, 1, WRITE, Mode::Level);
    assert_eq!(rig.now(), reports([(1, Readiness::WRITE)]));
    fill(&mut writer);
    assert_eq!(rig.now(), reports([]));
    while reader.read(&mut [0; 4096]).is_ok() {}
    assert_eq!(rig.now(), reports([(1, Readiness::WRITE)]));
}

fn both_directions(rig: &mut Rig) {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    rig.set(&ours, 1, BOTH, Mode::Level);
    assert_eq!(rig.now(), reports([(1, Readiness::WRITE)]));
    theirs.write_all(b"a").unwrap();
    assert_eq!(rig.now(), reports([(1, Readiness::READ | Readiness::WRITE)]));
    fill(&mut ours);
    assert_eq!(rig.now(), reports([(1, Readiness::READ)]));
}

fn a_pipe_without_writer(rig: &mut Rig) {
    let (reader, writer) = pipe().unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    drop(writer);
    let expected = if rig.is("epoll") || rig.is("poll") {
        BROKEN
    } else {
        Readiness::READ
    };
    assert_eq!(rig.wait(None), reports([(1, expected)]));
}

fn a_pipe_without_reader(rig: &mut Rig) {
    let (reader, mut writer) = nonblocking_pipe();
    fill(&mut writer);
    rig.set(&writer, 1, WRITE, Mode::Level);
    assert_eq!(rig.now(), reports([]));
    drop(reader);
    let expected = if rig.is("select") { Readiness::WRITE } else { BROKEN };
    assert_eq!(rig.wait(None), reports([(1, expected)]));
}

/// Whoever waits for either direction runs into the error.
fn a_reader_of_a_pipe_without_reader(rig: &mut Rig) {
    if rig.is("kqueue") {
        return; // The read filter of a write-only descriptor is each kernel's own affair.
    }
    let (reader, writer) = pipe().unwrap();
    rig.set(&writer, 1, READ, Mode::Level);
    assert_eq!(rig.now(), reports([]));
    drop(reader);
    let expected = if rig.is("select") { Readiness::READ } else { BROKEN };
    assert_eq!(rig.wait(None), reports([(1, expected)]));
}

fn the_peer_closes_its_side(rig: &mut Rig) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    if !rig.can(Features::CLOSED) {
        rig.refuses(&ours, READ | Interest::CLOSED, Mode::Level, Features::CLOSED);
        return;
    }
    rig.set(&ours, 1, Interest::CLOSED, Mode::Level);
    theirs.write_all(b"unread").unwrap();
    assert_eq!(rig.now(), reports([]));
    theirs.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rig.wait(None), reports([(1, Readiness::CLOSED)]), "though data remains");
    rig.set(&ours, 1, READ | Interest::CLOSED, Mode::Level);
    assert_eq!(rig.now(), reports([(1, Readiness::READ | Readiness::CLOSED)]));
}

fn the_peer_closes_both_sides(rig: &mut Rig) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let interest = if rig.can(Features::CLOSED) {
        READ | Interest::CLOSED
    } else {
        READ
    };
    rig.set(&ours, 1, interest, Mode::Level);
    drop(theirs);
    let expected = match rig.backend.name() {
        "epoll" => Readiness::READ | Readiness::CLOSED | Readiness::ERROR,
        "poll" => {
            BROKEN
                | if rig.can(Features::CLOSED) {
                    Readiness::CLOSED
                } else {
                    Readiness::empty()
                }
        }
        _ => Readiness::READ,
    };
    assert_eq!(rig.wait(None), reports([(1, expected)]));
}

fn a_reset_connection(rig: &mut Rig) {
    let (client, server) = tcp_pair();
    rig.set(&client, 1, READ, Mode::Level);
    // Closing with unread data resets the connection.
    (&client).write_all(b"unread").unwrap();
    rig.set(&server, 2, READ, Mode::Level);
    while !rig.wait(None).contains_key(&2) {}
    rig.remove(&server);
    drop(server);
    let expected = if rig.is("select") { Readiness::READ } else { BROKEN };
    assert_eq!(rig.wait(None), reports([(1, expected)]));
    let taken = client.take_error().unwrap();
    assert!(
        taken.is_some() || rig.is_emulated(),
        "nobody but libkqueue takes the error away"
    );
}

fn priority_data(rig: &mut Rig) {
    let (ours, theirs) = tcp_pair();
    if !rig.can(Features::PRIORITY) {
        rig.refuses(&ours, Interest::PRIORITY, Mode::Level, Features::PRIORITY);
        return;
    }
    rig.set(&ours, 1, Interest::PRIORITY, Mode::Level);
    (&theirs).write_all(b"ordinary").unwrap();
    assert_eq!(rig.now(), reports([]));
    socket::send_out_of_band(theirs.as_fd(), b'!').unwrap();
    assert_eq!(rig.wait(None), reports([(1, Readiness::PRIORITY)]));
}

fn errors_alone(rig: &mut Rig) {
    let (reader, writer) = pipe().unwrap();
    if !rig.can(Features::ERROR_ONLY) {
        rig.refuses(&writer, Interest::ERROR, Mode::Level, Features::ERROR_ONLY);
        return;
    }
    rig.set(&writer, 1, Interest::ERROR, Mode::Level);
    assert_eq!(rig.now(), reports([]), "being writable is no error");
    drop(reader);
    assert_eq!(rig.wait(None), reports([(1, BROKEN)]));
}

fn one_shot(rig: &mut Rig) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    rig.set(&ours, 1, READ, Mode::OneShot);
    assert_eq!(rig.now(), reports([]));
    theirs.write_all(b"a").unwrap();
    for _ in 0..2 {
        assert_eq!(rig.wait(None), reports([(1, Readiness::READ)]));
        assert_eq!(rig.now(), reports([]));
        theirs.write_all(b"more").unwrap();
        assert_eq!(rig.now(), reports([]));
        rig.set(&ours, 1, READ, Mode::OneShot);
    }
    rig.remove(&ours);
    assert_eq!(rig.now(), reports([]));
}

fn one_shot_of_both_directions(rig: &mut Rig) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    rig.set(&ours, 1, BOTH, Mode::OneShot);
    assert_eq!(rig.wait(None), reports([(1, Readiness::WRITE)]));
    theirs.write_all(b"a").unwrap();
    assert_eq!(rig.now(), reports([]), "one report silences both");
    rig.set(&ours, 1, BOTH, Mode::OneShot);
    assert_eq!(rig.now(), reports([(1, Readiness::READ | Readiness::WRITE)]));
    assert_eq!(rig.now(), reports([]));
}

/// The registration is spent at the moment of the report, so that an update after that arms it anew.
fn one_shot_armed_between_report_and_turn(rig: &mut Rig) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"a").unwrap();
    rig.set(&ours, 1, BOTH, Mode::OneShot);
    rig.backend.prepare(&mut rig.waiter).unwrap();
    rig.waiter.wait(None).unwrap();
    assert_eq!(rig.reports().len(), 1);
    rig.set(&ours, 2, BOTH, Mode::OneShot);
    assert_eq!(rig.now(), reports([(2, Readiness::READ | Readiness::WRITE)]));
    assert_eq!(rig.now(), reports([]));
}

fn edges(rig: &mut Rig) {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    if !rig.can(Features::EDGE) {
        rig.refuses(&ours, READ, Mode::Edge, Features::EDGE);
        return;
    }
    rig.set(&ours, 1, READ, Mode::Edge);
    theirs.write_all(b"a").unwrap();
    assert_eq!(rig.wait(None), reports([(1, Readiness::READ)]));
    assert_eq!(rig.now(), reports([]), "nothing new");
    theirs.write_all(b"b").unwrap();
    assert_eq!(rig.wait(None), reports([(1, Readiness::READ)]), "renewed");
    ours.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(rig.now(), reports([]));
    theirs.write_all(b"c").unwrap();
    assert_eq!(rig.wait(None), reports([(1, Readiness::READ)]));
    rig.set(&ours, 2, READ, Mode::Edge);
    assert_eq!(rig.now(), reports([(2, Readiness::READ)]), "an update looks anew");
}

fn exclusive(rig: &mut Rig) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    if !rig.can(Features::EXCLUSIVE) {
        rig.refuses(&ours, READ, Mode::Exclusive, Features::EXCLUSIVE);
        return;
    }
    rig.refuses(&ours, READ | Interest::CLOSED, Mode::Exclusive, Features::CLOSED);
    rig.refuses(&ours, Interest::PRIORITY, Mode::Exclusive, Features::PRIORITY);
    theirs.write_all(b"a").unwrap();
    for (tag, (interest, mode)) in [
        (READ, Mode::Exclusive),
        (BOTH, Mode::Exclusive),
        (READ, Mode::Level),
        (READ, Mode::Exclusive),
        (READ, Mode::OneShot),
        (READ, Mode::Exclusive),
    ]
    .into_iter()
    .enumerate()
    {
        let tag = tag as u64;
        rig.set(&ours, tag, interest, mode);
        let expected = if interest == BOTH {
            Readiness::READ | Readiness::WRITE
        } else {
            Readiness::READ
        };
        assert_eq!(rig.now(), reports([(tag, expected)]));
    }
    // A leftover that the books know nothing of gives way.
    rig.forget(ours.as_raw_fd());
    rig.set(&ours, 9, READ, Mode::Level);
    assert_eq!(rig.now(), reports([(9, Readiness::READ)]));
}

fn regular_files(rig: &mut Rig) {
    let path = std::env::temp_dir().join(format!("ev-backend-{}-{:p}", std::process::id(), &raw const rig));
    std::fs::write(&path, b"text").unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    if rig.can(Features::ANY_FILE) {
        let (interest, ready) = if rig.is_emulated() {
            (READ, Readiness::READ)
        } else {
            (BOTH, Readiness::READ | Readiness::WRITE)
        };
        rig.set(&file, 1, interest, Mode::Level);
        assert_eq!(rig.now(), reports([(1, ready)]));
        assert_eq!(rig.now(), reports([(1, ready)]));
        rig.remove(&file);
    } else {
        let refused = rig.try_set(file.as_raw_fd(), 1, READ, Mode::Level).unwrap_err();
        assert!(matches!(refused, UpdateError::Io(error) if error.raw_os_error() == Some(errno::EPERM)));
    }
    assert_eq!(rig.now(), reports([]));
}

fn no_interest(rig: &mut Rig) {
    let (reader, _writer) = pipe().unwrap();
    let refused = rig.try_set(reader.as_raw_fd(), 1, Interest::empty(), Mode::Level);
    assert!(matches!(refused, Err(UpdateError::NoInterest)));
}

fn the_tag_of_the_last_update(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    for tag in [5, 6, 5] {
        rig.set(&reader, tag, READ, Mode::Level);
        assert_eq!(rig.now(), reports([(tag, Readiness::READ)]));
    }
}

fn every_tag(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    let fd = reader.as_raw_fd();
    for tag in [0, u64::from(u32::MAX), Tag::new(fd, u32::MAX).to_bits(), u64::MAX - 1] {
        rig.set(&reader, tag, READ, Mode::Level);
        assert_eq!(rig.now(), reports([(tag, Readiness::READ)]));
    }
    match rig.try_set(fd, u64::MAX, READ, Mode::Level) {
        Ok(()) => assert_eq!(rig.now(), reports([(u64::MAX, Readiness::READ)])),
        Err(UpdateError::Io(error)) => {
            assert!(
                rig.is("epoll") && error.raw_os_error() == Some(errno::EINVAL),
                "the timer's own tag"
            );
        }
        Err(error) => panic!("{error}"),
    }
}

fn an_interest_shrinks_and_grows(rig: &mut Rig) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"a").unwrap();
    for (interest, expected) in [
        (READ, Readiness::READ),
        (BOTH, Readiness::READ | Readiness::WRITE),
        (WRITE, Readiness::WRITE),
        (BOTH, Readiness::READ | Readiness::WRITE),
        (READ, Readiness::READ),
        (WRITE, Readiness::WRITE),
    ] {
        rig.set(&ours, 1, interest, Mode::Level);
        assert_eq!(rig.now(), reports([(1, expected)]));
    }
}

fn the_mode_changes(rig: &mut Rig) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"a").unwrap();
    let modes = [
        Mode::Level,
        Mode::OneShot,
        Mode::Level,
        Mode::Edge,
        Mode::OneShot,
        Mode::Edge,
        Mode::Level,
    ];
    for mode in modes
        .into_iter()
        .filter(|&mode| mode != Mode::Edge || rig.can(Features::EDGE))
        .collect::<Vec<_>>()
    {
        rig.set(&ours, 1, READ, mode);
        assert_eq!(rig.now(), reports([(1, Readiness::READ)]), "{mode:?}");
        let again = if mode == Mode::Level {
            reports([(1, Readiness::READ)])
        } else {
            reports([])
        };
        assert_eq!(rig.now(), again, "{mode:?}");
    }
}

fn removed(rig: &mut Rig) {
    let pipes: Vec<_> = (0..5).map(|_| pipe().unwrap()).collect();
    for (tag, (reader, writer)) in pipes.iter().enumerate() {
        let mut writer = writer;
        writer.write_all(b"a").unwrap();
        rig.set(reader, tag as u64, READ, Mode::Level);
    }
    let mut left = vec![0, 1, 2, 3, 4];
    for tag in [1, 4, 0, 3, 2] {
        assert_eq!(rig.now().into_keys().collect::<Vec<_>>(), left);
        rig.remove(&pipes[tag as usize].0);
        left.retain(|&other| other != tag);
    }
    assert_eq!(rig.now(), reports([]));
}

fn removed_twice_and_after_close(rig: &mut Rig) {
    let (reader, _writer) = pipe().unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    rig.remove(&reader);
    rig.remove(&reader);
    rig.set(&reader, 1, READ, Mode::Level);
    let fd = reader.as_raw_fd();
    drop(reader);
    rig.remove_number(fd);
    rig.remove_number(fd);
    assert_eq!(rig.now(), reports([]));
}

fn adding_a_closed_descriptor(rig: &mut Rig) {
    for closed in [1_000_000_000, -1] {
        let refused = rig.try_set(closed, 1, READ, Mode::Level).unwrap_err();
        assert!(matches!(refused, UpdateError::Io(error) if error.raw_os_error() == Some(errno::EBADF)));
    }
    assert_eq!(rig.now(), reports([]));
}

fn a_refused_update_changes_nothing(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    for (interest, mode) in [
        (Interest::empty(), Mode::Level),
        (READ | Interest::CLOSED | Interest::PRIORITY, Mode::Exclusive),
        (Interest::all(), Mode::Exclusive),
    ] {
        rig.try_set(reader.as_raw_fd(), 2, interest, mode).unwrap_err();
        assert_eq!(rig.now().into_keys().collect::<Vec<_>>(), [1]);
    }
}

fn closed_while_registered(rig: &mut Rig) {
    if rig.is_emulated() {
        // Not by a macro, whose output the harness keeps to itself; and at once, as other tests write at the same time.
        let skipped = "conformance: closed_while_registered is SKIPPED: libkqueue wants to hear of it first\n";
        let _ = stderr().write_all(skipped.as_bytes());
        return;
    }
    let (closed, _closed_writer) = pipe().unwrap();
    let (open, mut writer) = pipe().unwrap();
    rig.set(&closed, 1, READ, Mode::Level);
    rig.set(&open, 2, READ, Mode::Level);
    let fd = closed.as_raw_fd();
    drop(closed);
    writer.write_all(b"a").unwrap();
    let expected = match rig.backend.name() {
        "poll" | "select" => reports([(1, BROKEN), (2, Readiness::READ)]),
        _ => reports([(2, Readiness::READ)]),
    };
    for _ in 0..2 {
        assert_eq!(rig.wait(None), expected, "and the other descriptor is served");
    }
    rig.remove_number(fd);
    assert_eq!(rig.now(), reports([(2, Readiness::READ)]));
}

/// The number is another file's by the time of the update, which knows nothing of that.
fn closed_and_reused(rig: &mut Rig) {
    let fd = OwnedFd::from(pipe().unwrap().0);
    rig.set(&fd, 1, READ, Mode::Level);
    let (new, mut writer) = pipe().unwrap();
    fdio::replace(&fd, new.into()).unwrap();
    writer.write_all(b"a").unwrap();
    rig.set(&fd, 2, READ, Mode::Level);
    assert_eq!(rig.now(), reports([(2, Readiness::READ)]));
    rig.remove(&fd);
    assert_eq!(rig.now(), reports([]));
}

/// The kernel ties a registration to the open file; while a duplicate is open, closing the number does not end it.
fn reused_while_a_duplicate_lives(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    let duplicate = reader.try_clone().unwrap();
    let fd = OwnedFd::from(reader);
    rig.set(&fd, 1, READ, Mode::Level);
    fdio::replace(&fd, pipe().unwrap().0.into()).unwrap();
    rig.forget(fd.as_raw_fd());
    // The number goes back to the first file, which epoll still holds registered: EEXIST.
    fdio::replace(&fd, duplicate.into()).unwrap();
    writer.write_all(b"a").unwrap();
    rig.set(&fd, 2, READ, Mode::Level);
    assert_eq!(rig.now(), reports([(2, Readiness::READ)]));
    rig.remove(&fd);
    assert_eq!(rig.now(), reports([]));
}

fn never_early(rig: &mut Rig) {
    for nanoseconds in [0, 1, 999, 1_000_000, 1_000_001, 2_500_000, 17_300_001] {
        let timeout = Duration::from_nanos(nanoseconds);
        let start = Instant::now();
        assert_eq!(rig.wait(Some(timeout)), reports([]));
        assert!(start.elapsed() >= timeout, "{timeout:?} took {:?}", start.elapsed());
    }
}

/// No timeout means none, also where a shorter one came before.
fn without_end(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    assert_eq!(rig.wait(Some(Duration::from_millis(1))), reports([]));
    let sleep = Duration::from_millis(30);
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| {
            thread::sleep(sleep);
            writer.write_all(b"a").unwrap();
        });
        assert_eq!(rig.wait(None), reports([(1, Readiness::READ)]));
        assert!(start.elapsed() >= sleep);
    });
}

fn long_timeouts(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    for timeout in [
        Duration::MAX,
        Duration::from_secs(u64::from(u32::MAX)),
        Duration::from_mins(36),
    ] {
        assert_eq!(rig.wait(Some(timeout)), reports([(1, Readiness::READ)]));
    }
}

/// More than the largest buffer holds, and more than C's `fd_set`.
fn many_descriptors(rig: &mut Rig) {
    let limit = process::raise_descriptor_limit().unwrap();
    let count = limit.saturating_sub(100).min(5000);
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    let readers: Vec<_> = (0..count).map(|_| reader.try_clone().unwrap()).collect();
    for (tag, reader) in readers.iter().enumerate() {
        rig.set(reader, tag as u64, READ, Mode::OneShot);
    }
    let mut seen = Reports::new();
    let mut most = 0;
    while (seen.len() as u64) < count {
        let found = rig.wait(None);
        most = most.max(found.len());
        for (tag, readiness) in found {
            assert_eq!(readiness, Readiness::READ);
            assert!(seen.insert(tag, readiness).is_none(), "a one-shot is reported once");
        }
    }
    assert_eq!(rig.now(), reports([]));
    assert!(most > 32, "the buffer grows");
    assert!(count <= 1024 || readers.iter().any(|reader| reader.as_raw_fd() > 1024));
    for reader in &readers {
        rig.remove(reader);
    }
    drop(readers);
    // The sets and arrays get by with less again.
    rig.set(&reader, 1, READ, Mode::Level);
    assert_eq!(rig.now(), reports([(1, Readiness::READ)]));
}

fn reports_are_given_once(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    assert_eq!(rig.now(), reports([(1, Readiness::READ)]));
    assert_eq!(rig.reports(), reports([]));
}

fn a_wait_drops_reports_not_taken(rig: &mut Rig) {
    let (mut reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    rig.backend.prepare(&mut rig.waiter).unwrap();
    assert_eq!(rig.waiter.wait(None).unwrap(), 1);
    reader.read_exact(&mut [0]).unwrap();
    assert_eq!(rig.now(), reports([]));
}

/// Mechanisms that search a list begin elsewhere each time, so that the first in the list is not always served first.
/// The queues inside kernels need no help.
fn every_descriptor_is_first_in_turn(rig: &mut Rig) {
    if rig.can(Features::CONSTANT_TIME) {
        return;
    }
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    let readers: Vec<_> = (0..3).map(|_| reader.try_clone().unwrap()).collect();
    for (tag, reader) in readers.iter().enumerate() {
        rig.set(reader, tag as u64, READ, Mode::Level);
    }
    let mut firsts = Reports::new();
    for _ in &readers {
        rig.backend.prepare(&mut rig.waiter).unwrap();
        assert_eq!(rig.waiter.wait(None).unwrap(), readers.len());
        let mut first = None;
        rig.waiter
            .for_each(|tag, readiness| _ = first.get_or_insert((tag.to_bits(), readiness)));
        firsts.extend(first);
    }
    assert_eq!(firsts.len(), readers.len());
}

fn reset_forgets_everything(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    let (other, _other_writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    rig.set(&reader, 1, READ, Mode::Level);
    rig.set(&other, 2, READ, Mode::Level);
    assert_eq!(rig.now(), reports([(1, Readiness::READ)]));
    rig.reset();
    assert_eq!(rig.now(), reports([]));
    rig.set(&reader, 3, READ, Mode::OneShot);
    assert_eq!(
        rig.wait(Some(Duration::from_millis(1))),
        reports([(3, Readiness::READ)])
    );
    rig.reset();
    rig.set(&reader, 4, READ, Mode::OneShot);
    assert_eq!(
        rig.now(),
        reports([(4, Readiness::READ)]),
        "what was spent before has no effect now"
    );
    assert_eq!(rig.wait(Some(Duration::from_millis(1))), reports([]));
}

/// Another thread sleeps in the wait, and holds nothing.
fn updates_during_a_wait(rig: &mut Rig) {
    let (reader, mut writer) = pipe().unwrap();
    writer.write_all(b"a").unwrap();
    rig.backend.prepare(&mut rig.waiter).unwrap();
    let Rig { backend, waiter, .. } = &mut *rig;
    let concurrent = backend.features().contains(Features::CONCURRENT);
    let timeout = if concurrent {
        None
    } else {
        Some(Duration::from_millis(30))
    };
    let found = thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            waiter.wait(timeout).unwrap();
            let mut found = Reports::new();
            waiter.for_each(|tag, readiness| _ = found.insert(tag.to_bits(), readiness));
            found
        });
        thread::sleep(Duration::from_millis(10));
        let new = Some(Registration {
            interest: READ,
            mode: Mode::Level,
        });
        backend
            .update(&Change {
                fd: reader.as_raw_fd(),
                tag: Tag::from_bits(1),
                old: None,
                new,
            })
            .unwrap();
        sleeper.join().unwrap()
    });
    assert_eq!(
        found,
        if concurrent {
            reports([(1, Readiness::READ)])
        } else {
            reports([])
        }
    );
    assert_eq!(rig.now(), reports([(1, Readiness::READ)]));
}
