//! The simulated backend: scripts in virtual time, real descriptors beside scripted ones, and the three paces.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ev_backend::sim::{Pace, Script, Sim, SimWaiter, Source, Stalled, Standstill};
use ev_backend::{Backend, Change, Features, Interest, Mode, Readiness, Registration, Tag, UpdateError, Waiter};

/// Descriptors that no process has.
const A: RawFd = 1_000_000;
const B: RawFd = 1_000_001;

const NONE: Readiness = Readiness::empty();
const READ: Readiness = Readiness::READ;
const WRITE: Readiness = Readiness::WRITE;
const BROKEN: Readiness = Readiness::READ.union(Readiness::WRITE).union(Readiness::ERROR);
const ALL: [Mode; 4] = [Mode::Level, Mode::Edge, Mode::OneShot, Mode::Exclusive];

const HOUR: Duration = Duration::from_hours(1);
const SECOND: u64 = 1_000_000_000;

fn registration(interest: Interest, mode: Mode) -> Registration {
    Registration { interest, mode }
}

fn change(fd: RawFd, tag: u64, new: impl Into<Option<Registration>>) -> Change {
    let tag = Tag::from_bits(tag);
    Change {
        fd,
        tag,
        // The simulation keeps its own books.
        old: None,
        new: new.into(),
    }
}

/// A simulation, its script, and a call for each step of a turn.
struct Bench {
    sim: Sim,
    waiter: SimWaiter,
    script: Script,
    start: u64,
}

impl Bench {
    fn new() -> Self {
        Self::seeded(0)
    }

    fn seeded(seed: u64) -> Self {
        let (sim, waiter, script) = Sim::new(seed).unwrap();
        let start = script.clock().now();
        script.set(A, NONE);
        script.set(B, NONE);
        Self {
            sim,
            waiter,
            script,
            start,
        }
    }

    fn paced(pace: Pace) -> Self {
        let bench = Self::new();
        bench.script.set_pace(pace);
        bench
    }

    fn add(&mut self, fd: RawFd, tag: u64, interest: Interest, mode: Mode) {
        self.sim
            .update(&change(fd, tag, registration(interest, mode)))
            .expect("the update succeeds");
    }

    fn read(&mut self, fd: RawFd, tag: u64) {
        self.add(fd, tag, Interest::READ, Mode::Level);
    }

    fn remove(&mut self, fd: RawFd) {
        self.sim.update(&change(fd, 0, None)).expect("a removal succeeds");
    }

    fn try_wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<(u64, Readiness)>> {
        self.sim.prepare(&mut self.waiter)?;
        let count = self.waiter.wait(timeout)?;
        let mut reports = Vec::new();
        self.waiter
            .for_each(|tag, readiness| reports.push((tag.to_bits(), readiness)));
        assert_eq!(reports.len(), count);
        Ok(reports)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Vec<(u64, Readiness)> {
        self.try_wait(timeout).expect("the wait succeeds")
    }

    fn look(&mut self) -> Vec<(u64, Readiness)> {
        self.wait(Some(Duration::ZERO))
    }

    /// The virtual nanoseconds since the bench was made.
    fn elapsed(&self) -> u64 {
        self.script.clock().now() - self.start
    }
}

fn is_stalled(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Deadlock && error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Stalled>)
}

fn is_standstill(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Deadlock && error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Standstill>)
}

mod time {
    use super::*;

    #[test]
    fn a_wait_jumps_to_its_end_and_no_further() {
        let mut bench = Bench::new();
        assert_eq!(bench.wait(Some(HOUR)), []);
        assert_eq!(bench.elapsed(), 3600 * SECOND);
        assert_eq!(bench.wait(Some(Duration::from_nanos(1))), []);
        assert_eq!(bench.elapsed(), 3600 * SECOND + 1);
        assert_eq!(bench.look(), []);
        assert_eq!(bench.elapsed(), 3600 * SECOND + 1);
    }

    #[test]
    fn announcements_come_when_they_are_due() {
        let mut bench = Bench::new();
        bench.script.after(Duration::from_secs(3), A, NONE);
        bench.script.after(Duration::from_secs(1), A, READ);
        bench.script.at(bench.start + 2 * SECOND, A, READ | WRITE);
        bench.add(A, 1, Interest::READ | Interest::WRITE, Mode::Edge);
        let mut log = Vec::new();
        for _ in 0..2 {
            log.push((bench.wait(None), bench.elapsed()));
        }
        assert_eq!(log, [(vec![(1, READ)], SECOND), (vec![(1, READ | WRITE)], 2 * SECOND)]);
        assert_eq!(
            bench.wait(Some(HOUR)),
            [],
            "the end of readiness is applied, not reported"
        );
        bench.add(A, 1, Interest::READ, Mode::Level);
        assert_eq!(bench.look(), []);
    }

    #[test]
    fn what_is_due_with_the_end_of_a_wait_is_reported() {
        let mut bench = Bench::new();
        bench.read(A, 1);
        bench.script.at(bench.start + 3600 * SECOND, A, READ);
        assert_eq!(bench.look(), []);
        assert_eq!(bench.wait(Some(Duration::from_nanos(3600 * SECOND - 1))), []);
        assert_eq!(bench.elapsed(), 3600 * SECOND - 1);
        assert_eq!(bench.wait(Some(Duration::from_nanos(1))), [(1, READ)]);
        assert_eq!(bench.elapsed(), 3600 * SECOND);
    }

    #[test]
    fn readiness_takes_no_time() {
        let mut bench = Bench::new();
        bench.read(A, 1);
        bench.script.after(HOUR, A, NONE);
        bench.script.set(A, READ);
        for _ in 0..3 {
            assert_eq!(bench.wait(Some(2 * HOUR)), [(1, READ)]);
        }
        assert_eq!(bench.elapsed(), 0);
    }

    #[test]
    fn announcements_for_one_time_keep_their_order() {
        let mut bench = Bench::new();
        bench.script.after(HOUR, A, READ);
        bench.script.after(HOUR, B, READ);
        bench.script.after(HOUR, A, WRITE);
        bench.add(A, 1, Interest::READ | Interest::WRITE, Mode::Level);
        bench.read(B, 2);
        assert_eq!(bench.wait(None), [(1, WRITE), (2, READ)]);
    }

    #[test]
    fn advancing_passes_announcements_over() {
        let mut bench = Bench::new();
        bench.read(A, 1);
        bench.script.after(HOUR, A, READ);
        bench.script.after(2 * HOUR, A, NONE);
        bench.script.clock().advance(HOUR);
        assert_eq!(bench.look(), [(1, READ)]);
        bench.script.clock().advance(HOUR);
        bench.script.set(A, READ);
        assert_eq!(bench.look(), [(1, READ)], "the last word is the script's");
        assert_eq!(bench.elapsed(), 2 * 3600 * SECOND);
    }

    #[test]
    fn what_was_due_before_comes_now() {
        let mut bench = Bench::new();
        bench.read(A, 1);
        bench.script.at(0, A, READ);
        assert_eq!(bench.look(), [(1, READ)]);
        assert_eq!(bench.elapsed(), 0);
    }

    #[test]
    fn very_long_times_end_at_the_end_of_time() {
        let mut bench = Bench::new();
        bench.script.after(Duration::MAX, A, READ);
        bench.read(A, 1);
        assert_eq!(bench.wait(Some(Duration::MAX)), [(1, READ)]);
        assert_eq!(bench.script.clock().now(), u64::MAX);
        bench.script.clock().advance(HOUR);
        assert_eq!(bench.script.clock().now(), u64::MAX);
    }

    #[test]
    fn a_wait_that_nothing_can_end_is_an_error() {
        let mut bench = Bench::new();
        assert!(is_stalled(&bench.try_wait(None).unwrap_err()));
        bench.read(A, 1);
        bench.script.set(A, WRITE);
        bench.script.set(B, READ);
        assert!(is_stalled(&bench.try_wait(None).unwrap_err()));
        bench.script.after(HOUR, A, WRITE);
        assert!(
            is_stalled(&bench.try_wait(None).unwrap_err()),
            "nothing comes of that either"
        );
        assert_eq!(bench.elapsed(), 3600 * SECOND);
        let (reader, _writer) = pipe().unwrap();
        bench.read(reader.as_raw_fd(), 2);
        bench.remove(reader.as_raw_fd());
        assert!(is_stalled(&bench.try_wait(None).unwrap_err()));
        bench.script.set(A, READ);
        assert_eq!(bench.wait(None), [(1, READ)], "the error does no harm");
    }

    /// As many waits as may find something ready in a row, and the one after them.
    fn spin(bench: &mut Bench, timeout: Option<Duration>) -> io::Result<Vec<(u64, Readiness)>> {
        for _ in 0..100_000 {
            assert_ne!(bench.waiter.wait(timeout).unwrap(), 0);
        }
        bench.try_wait(timeout)
    }

    #[test]
    fn time_that_stands_still_for_ever_is_an_error() {
        let mut bench = Bench::new();
        bench.read(A, 1);
        bench.script.set(A, READ);
        bench.script.after(HOUR, A, NONE);
        for timeout in [None, Some(HOUR)] {
            assert!(is_standstill(&spin(&mut bench, timeout).unwrap_err()));
        }
        assert_eq!(bench.wait(None), [(1, READ)], "the error does no harm");
        assert_eq!(
            spin(&mut bench, Some(Duration::ZERO)).unwrap(),
            [(1, READ)],
            "no time was asked for"
        );
        bench.script.set_pace(Pace::Hold);
        assert_eq!(
            spin(&mut bench, None).unwrap(),
            [(1, READ)],
            "another thread may say more"
        );
        assert_eq!(bench.elapsed(), 0);
    }

    #[test]
    fn a_change_begins_the_count_of_waits_anew() {
        let changes: [fn(&mut Bench); 3] = [
            |bench| bench.script.set(A, READ),
            |bench| bench.script.after(HOUR, A, NONE),
            |bench| bench.read(B, 2),
        ];
        for change in changes {
            let mut bench = Bench::new();
            bench.read(A, 1);
            bench.script.set(A, READ);
            assert_ne!(bench.waiter.wait(None).unwrap(), 0);
            change(&mut bench);
            assert!(is_standstill(&spin(&mut bench, None).unwrap_err()));
        }
    }

    #[test]
    fn time_that_goes_on_may_do_so_for_ever() {
        let mut bench = Bench::new();
        bench.add(A, 1, Interest::READ, Mode::Edge);
        for hour in 1..=100_001 {
            bench.script.after(HOUR * hour, A, READ);
        }
        assert_eq!(spin(&mut bench, None).unwrap(), [(1, READ)]);
        assert_eq!(bench.elapsed(), 100_001 * 3600 * SECOND);
    }

    #[test]
    fn real_descriptors_may_be_ready_for_ever() {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"x").unwrap();
        let mut bench = Bench::new();
        bench.read(A, 1);
        bench.script.set(A, READ);
        bench.read(reader.as_raw_fd(), 2);
        assert_eq!(spin(&mut bench, None).unwrap(), [(1, READ), (2, READ)]);
    }

    #[test]
    fn level_reports_while_ready() {
        for mode in [Mode::Level, Mode::Exclusive] {
            let mut bench = Bench::new();
            bench.add(A, 1, Interest::READ, mode);
            assert_eq!(bench.look(), []);
            bench.script.set(A, READ);
            for _ in 0..3 {
                assert_eq!(bench.look(), [(1, READ)], "{mode:?}");
            }
            bench.script.set(A, NONE);
            assert_eq!(bench.look(), [], "{mode:?}");
        }
    }

    #[test]
    fn edge_reports_what_is_new() {
        let mut bench = Bench::new();
        let both = Interest::READ | Interest::WRITE;
        bench.script.set(A, READ);
        bench.add(A, 1, both, Mode::Edge);
        let mut expect = |step: &dyn Fn(&mut Bench), expected: &[(u64, Readiness)], reason| {
            step(&mut bench);
            assert_eq!(bench.look(), expected, "{reason}");
            assert_eq!(bench.look(), [], "{reason}: once");
        };
        expect(&|_| {}, &[(1, READ)], "ready when registered");
        expect(&|bench| bench.script.set(A, READ), &[(1, READ)], "more of the same");
        expect(
            &|bench| bench.script.set(A, READ | WRITE),
            &[(1, READ | WRITE)],
            "more bits",
        );
        expect(&|bench| bench.script.set(A, WRITE), &[], "fewer bits");
        expect(&|bench| bench.script.set(A, READ), &[(1, READ)], "other bits");
        expect(&|bench| bench.script.set(A, NONE), &[], "no bits");
        expect(&|bench| bench.script.set(A, NONE), &[], "still no bits");
        expect(&|bench| bench.script.set(A, READ), &[(1, READ)], "again");
        expect(&|bench| bench.script.set(A, Readiness::PRIORITY), &[], "not asked for");
        expect(&|bench| bench.script.set(A, READ), &[(1, READ)], "asked for");
        expect(&|bench| bench.add(A, 2, both, Mode::Edge), &[(2, READ)], "updated");
    }

    #[test]
    fn an_edge_not_yet_reported_survives_a_loss_of_bits() {
        let mut bench = Bench::new();
        bench.add(A, 1, Interest::READ | Interest::WRITE, Mode::Edge);
        bench.script.set(A, READ | WRITE);
        bench.script.set(A, WRITE);
        assert_eq!(bench.look(), [(1, WRITE)]);
        bench.script.set(A, READ);
        bench.script.set(A, NONE);
        assert_eq!(bench.look(), []);
    }

    #[test]
    fn one_shot_reports_once_an_update() {
        let mut bench = Bench::new();
        bench.script.set(A, READ);
        for tag in 1..3 {
            bench.add(A, tag, Interest::READ, Mode::OneShot);
            assert_eq!(bench.look(), [(tag, READ)]);
            bench.script.set(A, NONE);
            bench.script.set(A, READ);
            assert_eq!(bench.look(), [], "silent until updated");
        }
    }

    #[test]
    fn the_mode_changes() {
        let mut bench = Bench::new();
        bench.script.set(A, READ);
        for (tag, mode) in (1..).zip(ALL.into_iter().chain(ALL.into_iter().rev())) {
            bench.add(A, tag, Interest::READ, mode);
            assert_eq!(bench.look(), [(tag, READ)], "{mode:?}");
            let again = bench.look();
            assert_eq!(
                !again.is_empty(),
                matches!(mode, Mode::Level | Mode::Exclusive),
                "{mode:?}"
            );
        }
    }

    #[test]
    fn registrations_see_what_they_ask_for() {
        let mut bench = Bench::new();
        bench
            .script
            .set(A, READ | WRITE | Readiness::CLOSED | Readiness::PRIORITY);
        for (interest, expected) in [
            (Interest::READ, READ),
            (Interest::WRITE, WRITE),
            (Interest::CLOSED, Readiness::CLOSED),
            (Interest::PRIORITY, Readiness::PRIORITY),
            (Interest::READ | Interest::CLOSED, READ | Readiness::CLOSED),
        ] {
            bench.add(A, 1, interest, Mode::Level);
            assert_eq!(bench.look(), [(1, expected)], "{interest:?}");
        }
        bench.add(A, 1, Interest::ERROR, Mode::Level);
        assert_eq!(bench.look(), []);
    }

    #[test]
    fn all_run_into_an_error() {
        for mode in ALL {
            let mut bench = Bench::new();
            bench.script.set(A, Readiness::ERROR);
            for interest in [Interest::READ, Interest::WRITE, Interest::ERROR] {
                bench.add(A, 1, interest, mode);
                assert_eq!(bench.look(), [(1, BROKEN)], "{mode:?}");
            }
        }
        let mut bench = Bench::new();
        bench.script.set(A, Readiness::ERROR | Readiness::CLOSED);
        bench.add(A, 1, Interest::CLOSED, Mode::Level);
        assert_eq!(bench.look(), [(1, BROKEN | Readiness::CLOSED)]);
    }
}

mod order {
    use super::*;

    const COUNT: i32 = 12;

    /// The tags in the order of reports, of several waits.
    fn orders(seed: u64) -> Vec<Vec<u64>> {
        let mut bench = Bench::seeded(seed);
        // Neither by number nor by what was ready first.
        for place in 0..COUNT {
            let fd = A + (place * 5 + 3) % COUNT;
            bench.script.set(fd, NONE);
            bench.read(fd, place as u64);
        }
        for fd in A..A + COUNT {
            bench.script.set(fd, READ);
        }
        let mut order = || bench.look().into_iter().map(|(tag, _)| tag).collect();
        vec![order(), order(), order()]
    }

    #[test]
    fn without_a_seed_it_is_that_of_registration() {
        let registered: Vec<_> = (0..COUNT as u64).collect();
        assert_eq!(orders(0), [registered.clone(), registered.clone(), registered]);
    }

    #[test]
    fn an_update_keeps_the_place() {
        let mut bench = Bench::new();
        for (fd, tag) in [(B, 1), (A, 2), (B, 3)] {
            bench.script.set(fd, READ);
            bench.read(fd, tag);
        }
        assert_eq!(bench.look(), [(3, READ), (2, READ)]);
        bench.remove(B);
        bench.read(B, 4);
        assert_eq!(bench.look(), [(2, READ), (4, READ)]);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(orders(7), orders(7));
        assert_ne!(orders(7), orders(8));
        let [first, second, third] = <[_; 3]>::try_from(orders(7)).unwrap();
        assert!(first != second && second != third, "waits differ from each other");
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, orders(0)[0], "and nothing is lost");
    }

    #[test]
    fn every_descriptor_is_first_for_some_seed() {
        let mut firsts: Vec<_> = (1..200).map(|seed| orders(seed)[0][0]).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), COUNT as usize);
    }
}

mod failures {
    use super::*;

    #[test]
    fn refused_updates_change_nothing() {
        let mut bench = Bench::new();
        bench.script.set(A, READ);
        bench.read(A, 1);
        for new in [Some(registration(Interest::WRITE, Mode::Level)), None] {
            bench.script.refuse(A, io::Error::from_raw_os_error(12));
            let refused = bench.sim.update(&change(A, 2, new)).unwrap_err();
            assert!(matches!(refused, UpdateError::Io(error) if error.raw_os_error() == Some(12)));
            assert_eq!(bench.look(), [(1, READ)]);
        }
        bench.remove(A);
        assert_eq!(bench.look(), []);
    }

    #[test]
    fn another_descriptor_is_not_refused() {
        let mut bench = Bench::new();
        bench.script.refuse(B, ErrorKind::OutOfMemory);
        bench.read(A, 1);
        let refused = bench
            .sim
            .update(&change(B, 2, registration(Interest::READ, Mode::Level)));
        assert!(matches!(refused, Err(UpdateError::Io(error)) if error.kind() == ErrorKind::OutOfMemory));
        bench.read(B, 2);
    }

    #[test]
    fn real_descriptors_are_refused_too() {
        let mut bench = Bench::new();
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"a").unwrap();
        let fd = reader.as_raw_fd();
        bench.read(fd, 1);
        bench.script.refuse(fd, ErrorKind::OutOfMemory);
        bench.sim.update(&change(fd, 2, None)).unwrap_err();
        assert_eq!(bench.look(), [(1, READ)]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_type() {
        let mut bench = Bench::new();
        let refused = bench
            .sim
            .update(&change(A, 1, registration(Interest::empty(), Mode::Level)));
        assert!(matches!(refused, Err(UpdateError::NoInterest)));
        let exclusive = registration(Interest::READ | Interest::CLOSED, Mode::Exclusive);
        let refused = bench.sim.update(&change(A, 1, exclusive));
        assert!(matches!(refused, Err(UpdateError::Unsupported(Features::CLOSED))));
    }

    #[test]
    fn waits_fail_once() {
        let mut bench = Bench::new();
        bench.script.set(A, READ);
        bench.add(A, 1, Interest::READ, Mode::Edge);
        bench.script.fail_wait(ErrorKind::OutOfMemory);
        assert_eq!(bench.try_wait(None).unwrap_err().kind(), ErrorKind::OutOfMemory);
        assert_eq!(bench.wait(None), [(1, READ)], "nothing is lost");
    }

    #[test]
    fn an_interrupted_wait_returns_early() {
        let mut bench = Bench::new();
        bench.script.fail_wait(ErrorKind::Interrupted);
        assert_eq!(bench.wait(Some(HOUR)), []);
        assert_eq!(bench.elapsed(), 0);
        assert_eq!(bench.wait(Some(HOUR)), []);
        assert_eq!(bench.elapsed(), 3600 * SECOND);
    }

    #[test]
    fn reports_are_given_once_and_the_next_wait_drops_them() {
        let mut bench = Bench::new();
        bench.script.set(A, READ);
        bench.read(A, 1);
        assert_eq!(bench.waiter.wait(None).unwrap(), 1);
        bench.script.set(A, NONE);
        assert_eq!(bench.look(), []);
        bench.script.set(A, READ);
        assert_eq!(bench.look(), [(1, READ)]);
        bench.waiter.for_each(|_, _| panic!("they were given"));
    }
}

mod descriptors {
    use super::*;

    #[test]
    fn a_source_is_what_its_script_says() {
        let mut bench = Bench::new();
        let source = bench.script.source().unwrap();
        let fd = source.as_fd().as_raw_fd();
        assert_eq!(fd, source.as_raw_fd());
        bench.read(fd, 1);
        // A reading end without a writer is ready, if one asks the kernel.
        assert_eq!(bench.look(), []);
        bench.script.set(fd, READ);
        assert_eq!(bench.look(), [(1, READ)]);
    }

    /// As a kernel forgets a closed descriptor: its registration, and what was to come.
    #[test]
    fn a_dropped_source_is_forgotten() {
        let mut bench = Bench::new();
        let source = bench.script.source().unwrap();
        let fd = source.as_raw_fd();
        bench.read(fd, 1);
        bench.script.set(fd, READ);
        bench.script.after(HOUR, fd, READ);
        drop::<Source>(source);
        assert!(is_stalled(&bench.try_wait(None).unwrap_err()));
        assert_eq!(bench.elapsed(), 0);
        bench.script.set(fd, READ);
        assert_eq!(bench.look(), []);
    }

    #[test]
    fn an_announcement_names_a_descriptor_too() {
        let mut bench = Bench::new();
        bench.script.after(HOUR, B + 1, READ);
        bench.read(B + 1, 1);
        assert_eq!(bench.wait(None), [(1, READ)]);
    }

    #[test]
    fn real_ones_are_looked_at() {
        let mut bench = Bench::new();
        let (mut reader, mut writer) = pipe().unwrap();
        bench.read(A, 1);
        bench.read(reader.as_raw_fd(), 2);
        bench.add(writer.as_raw_fd(), 3, Interest::WRITE, Mode::OneShot);
        assert_eq!(bench.look(), [(3, WRITE)]);
        assert_eq!(bench.look(), []);
        writer.write_all(b"a").unwrap();
        bench.script.set(A, READ);
        assert_eq!(bench.wait(None), [(1, READ), (2, READ)], "scripted ones first");
        bench.script.set(A, NONE);
        assert_eq!(bench.wait(Some(HOUR)), [(2, READ)]);
        assert_eq!(bench.elapsed(), 0);
        reader.read_exact(&mut [0]).unwrap();
        assert_eq!(bench.wait(Some(HOUR)), []);
        assert_eq!(bench.elapsed(), 3600 * SECOND);
        bench.remove(reader.as_raw_fd());
        writer.write_all(b"a").unwrap();
        assert_eq!(bench.look(), []);
    }

    /// What one cannot do with them is said, and never done by half.
    #[test]
    fn edges_of_real_ones_are_seen_or_refused() {
        let mut bench = Bench::new();
        let (reader, mut writer) = pipe().unwrap();
        let edge = registration(Interest::READ, Mode::Edge);
        match bench.sim.update(&change(reader.as_raw_fd(), 1, edge)) {
            Ok(()) => {
                for _ in 0..2 {
                    writer.write_all(b"a").unwrap();
                    assert_eq!(bench.look(), [(1, READ)]);
                    assert_eq!(bench.look(), []);
                }
            }
            Err(UpdateError::Unsupported(Features::EDGE)) if cfg!(not(feature = "epoll")) => {}
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_closed_one_cannot_be_registered() {
        let mut bench = Bench::new();
        let read = registration(Interest::READ, Mode::Level);
        for fd in [B + 2, -1] {
            bench.remove(fd);
            assert!(matches!(
                bench.sim.update(&change(fd, 1, read)),
                Err(UpdateError::Io(_))
            ));
        }
        let error = bench.try_wait(None).unwrap_err();
        assert!(is_stalled(&error), "nothing was registered");
    }

    #[test]
    fn one_tag_is_taken() {
        let mut bench = Bench::new();
        let (reader, _writer) = pipe().unwrap();
        let read = registration(Interest::READ, Mode::Level);
        let refused = bench.sim.update(&change(reader.as_raw_fd(), u64::MAX, read));
        assert!(matches!(refused, Err(UpdateError::Io(error)) if error.kind() == ErrorKind::InvalidInput));
        bench.script.set(A, READ);
        bench.read(A, u64::MAX);
        assert_eq!(bench.look(), [(u64::MAX, READ)]);
    }

    /// Naming a number, or forgetting it, decides for the next registration.
    #[test]
    fn the_script_takes_and_leaves_a_descriptor() {
        let mut bench = Bench::new();
        let (reader, mut writer) = pipe().unwrap();
        let fd = reader.as_raw_fd();
        writer.write_all(b"a").unwrap();
        bench.read(fd, 1);
        bench.script.set(fd, NONE);
        assert_eq!(bench.look(), [(1, READ)], "still the real one");
        bench.read(fd, 2);
        assert_eq!(bench.look(), []);
        bench.script.set(fd, READ);
        assert_eq!(bench.look(), [(2, READ)]);
        bench.script.forget(fd);
        assert_eq!(bench.look(), []);
        bench.read(fd, 3);
        assert_eq!(bench.look(), [(3, READ)]);
        bench.remove(fd);
        assert_eq!(bench.look(), []);
    }

    #[test]
    fn reset_forgets_registrations_but_not_the_script() {
        let mut bench = Bench::new();
        let (reader, mut writer) = pipe().unwrap();
        let duplicate = reader.try_clone().unwrap();
        writer.write_all(b"a").unwrap();
        bench.read(A, 1);
        bench.read(reader.as_raw_fd(), 2);
        bench.add(duplicate.as_raw_fd(), 9, Interest::READ, Mode::Level);
        bench.script.set(A, READ);
        bench.script.after(HOUR, A, WRITE);
        assert_eq!(bench.look().len(), 3);
        bench.sim.reset().unwrap();
        assert_eq!(bench.look(), []);
        bench.read(A, 3);
        bench.read(reader.as_raw_fd(), 4);
        assert_eq!(bench.look(), [(3, READ), (4, READ)]);
        bench.remove(reader.as_raw_fd());
        bench.add(A, 5, Interest::WRITE, Mode::Level);
        assert_eq!(bench.wait(None), [(5, WRITE)]);
        assert_eq!(bench.elapsed(), 3600 * SECOND);
        bench.read(reader.as_raw_fd(), 6);
        bench.sim.reset().unwrap();
        assert!(is_stalled(&bench.try_wait(None).unwrap_err()));
    }

    #[test]
    fn what_it_can_do() {
        let bench = Bench::new();
        let expected = Features::all() - Features::CONSTANT_TIME;
        assert_eq!(bench.sim.features() | Features::ANY_FILE, expected);
        assert_eq!(bench.sim.name(), "sim");
    }
}

mod threads {
    use super::*;

    /// Waits in a thread of its own, and runs `meanwhile` when that sleeps.
    fn during_a_wait(
        bench: &mut Bench,
        timeout: Option<Duration>,
        meanwhile: impl FnOnce(&mut Sim, &Script),
    ) -> Vec<(u64, Readiness)> {
        let Bench {
            sim, waiter, script, ..
        } = bench;
        sim.prepare(waiter).unwrap();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                waiter.wait(timeout).unwrap();
                let mut reports = Vec::new();
                waiter.for_each(|tag, readiness| reports.push((tag.to_bits(), readiness)));
                reports
            });
            script.await_sleep();
            meanwhile(sim, script);
            sleeper.join().unwrap()
        })
    }

    #[test]
    fn a_real_descriptor_ends_a_wait_without_time() {
        for pace in [Pace::Jump, Pace::Hold] {
            let mut bench = Bench::paced(pace);
            let (reader, mut writer) = pipe().unwrap();
            bench.read(reader.as_raw_fd(), 1);
            let found = during_a_wait(&mut bench, None, |_, _| writer.write_all(b"a").unwrap());
            assert_eq!(found, [(1, READ)]);
            assert_eq!(bench.elapsed(), 0);
        }
    }

    #[test]
    fn time_held_passes_when_it_is_moved() {
        let mut bench = Bench::paced(Pace::Hold);
        let found = during_a_wait(&mut bench, Some(HOUR), |_, script| {
            script.clock().advance(HOUR / 2);
            script.await_sleep();
            script.clock().advance(HOUR / 2);
        });
        assert_eq!(found, []);
        assert_eq!(bench.elapsed(), 3600 * SECOND);
        bench.read(A, 1);
        bench.script.after(HOUR, A, READ);
        let found = during_a_wait(&mut bench, Some(2 * HOUR), |_, script| script.clock().advance(HOUR));
        assert_eq!(found, [(1, READ)]);
    }

    #[test]
    fn time_held_may_be_let_go() {
        let mut bench = Bench::paced(Pace::Hold);
        let found = during_a_wait(&mut bench, Some(HOUR), |_, script| script.set_pace(Pace::Jump));
        assert_eq!(found, []);
        assert_eq!(bench.elapsed(), 3600 * SECOND);
    }

    #[test]
    fn the_script_reaches_a_wait_under_way() {
        for pace in [Pace::Hold, Pace::Real] {
            let mut bench = Bench::paced(pace);
            bench.read(A, 1);
            let timeout = Some(HOUR);
            let found = during_a_wait(&mut bench, timeout, |_, script| script.set(A, READ));
            assert_eq!(found, [(1, READ)], "{pace:?}");
            bench.script.set(A, NONE);
            let found = during_a_wait(&mut bench, timeout, |_, script| script.at(0, A, READ));
            assert_eq!(found, [(1, READ)], "{pace:?}");
            bench.script.set(A, NONE);
            let found = during_a_wait(&mut bench, timeout, |_, script| {
                script.fail_wait(ErrorKind::Interrupted);
            });
            assert_eq!(found, [], "{pace:?}");
        }
    }

    #[test]
    fn an_update_reaches_a_wait_under_way() {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"a").unwrap();
        for pace in [Pace::Hold, Pace::Real] {
            for fd in [A, reader.as_raw_fd()] {
                let mut bench = Bench::paced(pace);
                bench.script.set(A, READ);
                let read = registration(Interest::READ, Mode::Level);
                let found = during_a_wait(&mut bench, Some(HOUR), |sim, _| {
                    sim.update(&change(fd, 1, read)).unwrap();
                });
                assert_eq!(found, [(1, READ)], "{pace:?}");
                assert!(bench.elapsed() < 3600 * SECOND);
            }
        }
    }

    fn assert_the_script_reaches_a_wait(bench: &mut Bench) {
        bench.read(A, 2);
        let found = during_a_wait(bench, Some(Duration::from_secs(5)), |_, script| {
            script.set(A, READ);
        });
        assert_eq!(found, [(2, READ)]);
        assert!(bench.elapsed() < 5 * SECOND, "before its end");
    }

    #[test]
    fn the_script_reaches_a_wait_after_a_reset() {
        let mut bench = Bench::paced(Pace::Real);
        bench.wait(Some(Duration::from_millis(1)));
        bench.sim.reset().unwrap();
        assert_the_script_reaches_a_wait(&mut bench);
    }

    /// A descriptor that was closed while registered does not take with it what wakes the wait.
    #[test]
    fn the_script_reaches_a_wait_after_a_number_was_closed() {
        let mut bench = Bench::paced(Pace::Real);
        let (reader, _writer) = pipe().unwrap();
        let fd = reader.as_raw_fd();
        bench.read(fd, 1);
        drop(reader);
        bench.wait(Some(Duration::from_millis(1)));
        bench.remove(fd);
        assert_the_script_reaches_a_wait(&mut bench);
    }

    /// As often as it is called for: no change is lost between two sleeps.
    #[test]
    fn a_thread_plays_with_the_loop() {
        let mut bench = Bench::paced(Pace::Hold);
        bench.read(A, 1);
        let script = bench.script.clone();
        let (turn, turns) = mpsc::channel();
        let other = thread::spawn(move || {
            for () in turns {
                script.set(A, READ);
            }
        });
        for _ in 0..1000 {
            turn.send(()).unwrap();
            assert_eq!(bench.wait(Some(HOUR)), [(1, READ)]);
            bench.script.set(A, NONE);
        }
        drop(turn);
        other.join().unwrap();
        assert_eq!(bench.elapsed(), 0);
    }

    #[test]
    fn at_real_pace_a_wait_takes_its_time() {
        let mut bench = Bench::paced(Pace::Real);
        for nanoseconds in [0, 1, 1_000_001, 17_300_001] {
            // It interrupts the sleep, and changes nothing.
            bench.script.after(Duration::from_nanos(nanoseconds / 2), A, NONE);
            let timeout = Duration::from_nanos(nanoseconds);
            let (start, virtual_start) = (Instant::now(), bench.elapsed());
            assert_eq!(bench.wait(Some(timeout)), []);
            assert!(start.elapsed() >= timeout);
            assert!(bench.elapsed() - virtual_start >= nanoseconds);
        }
    }

    #[test]
    fn at_real_pace_announcements_take_theirs() {
        let mut bench = Bench::paced(Pace::Real);
        bench.read(A, 1);
        let due = bench.script.clock().now() + 5_000_000;
        bench.script.at(due, A, READ);
        assert_eq!(bench.look(), []);
        assert_eq!(bench.wait(Some(HOUR)), [(1, READ)]);
        assert!(bench.script.clock().now() >= due);
    }

    #[test]
    fn the_real_clock_runs_between_waits_and_stops_with_its_pace() {
        let bench = Bench::paced(Pace::Real);
        let before = bench.elapsed();
        while bench.elapsed() == before {}
        bench.script.clock().advance(HOUR);
        bench.script.set_pace(Pace::Jump);
        let stopped = bench.elapsed();
        assert!(stopped > before + 3600 * SECOND);
        thread::sleep(Duration::from_millis(1));
        assert_eq!(bench.elapsed(), stopped);
    }

    #[test]
    fn at_real_pace_a_thread_notifies_long_before_the_deadline() {
        let mut bench = Bench::paced(Pace::Real);
        let (reader, mut writer) = pipe().unwrap();
        bench.read(reader.as_raw_fd(), 1);
        bench.script.after(HOUR, A, READ);
        let found = during_a_wait(&mut bench, Some(2 * HOUR), |_, _| writer.write_all(b"a").unwrap());
        assert_eq!(found, [(1, READ)]);
        assert!(bench.elapsed() < 3600 * SECOND);
    }
}

/// Random scripts against a naive reading of the documentation, without lookup structures: every nanosecond is tried.
mod model {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Set(RawFd, Readiness),
        After(u64, RawFd, Readiness),
        Update(RawFd, Registration),
        Remove(RawFd),
        Advance(u64),
        Wait(Option<u64>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let fd = || A..A + 4;
        let readiness = || prop::sample::select(vec![NONE, READ, WRITE, READ | WRITE, Readiness::ERROR]);
        let interest = prop::sample::select(vec![Interest::READ, Interest::WRITE, Interest::READ | Interest::WRITE]);
        let mode = prop::sample::select(ALL.to_vec());
        prop_oneof![
            3 => (fd(), readiness()).prop_map(|(fd, readiness)| Step::Set(fd, readiness)),
            3 => (0..20_u64, fd(), readiness()).prop_map(|(after, fd, readiness)| Step::After(after, fd, readiness)),
            3 => (fd(), interest, mode).prop_map(|(fd, interest, mode)| Step::Update(fd, registration(interest, mode))),
            1 => fd().prop_map(Step::Remove),
            1 => (0..10_u64).prop_map(Step::Advance),
            6 => prop::option::weighted(0.8, 0..15_u64).prop_map(Step::Wait),
        ]
    }

    #[derive(Clone, Copy)]
    struct Registered {
        fd: RawFd,
        registration: Registration,
        /// There is something to report that was not reported.
        news: bool,
    }

    #[derive(Default)]
    struct Model {
        now: u64,
        levels: [Readiness; 4],
        announced: Vec<(u64, RawFd, Readiness)>,
        registered: Vec<Registered>,
    }

    impl Model {
        fn set(&mut self, fd: RawFd, readiness: Readiness) {
            self.play();
            self.apply(fd, readiness);
        }

        fn play(&mut self) {
            while let Some(next) = (0..self.announced.len())
                .filter(|&index| self.announced[index].0 <= self.now)
                .min_by_key(|&index| (self.announced[index].0, index))
            {
                let (_, fd, readiness) = self.announced.remove(next);
                self.apply(fd, readiness);
            }
        }

        fn apply(&mut self, fd: RawFd, readiness: Readiness) {
            let level = &mut self.levels[(fd - A) as usize];
            let only_less = level.contains(readiness) && *level != readiness;
            *level = readiness;
            for registered in self.registered.iter_mut().filter(|registered| registered.fd == fd) {
                registered.news |= registered.registration.mode == Mode::Edge && !only_less;
            }
        }

        fn update(&mut self, fd: RawFd, registration: Registration) {
            let new = Registered {
                fd,
                registration,
                news: true,
            };
            match self.registered.iter_mut().find(|registered| registered.fd == fd) {
                Some(old) => *old = new,
                None => self.registered.push(new),
            }
        }

        fn reports(&mut self) -> Vec<(u64, Readiness)> {
            self.play();
            let mut reports = Vec::new();
            for registered in &mut self.registered {
                let level = self.levels[(registered.fd - A) as usize];
                let seen = if level.contains(Readiness::ERROR) {
                    BROKEN
                } else {
                    level.of(registered.registration.interest)
                };
                let holds = matches!(registered.registration.mode, Mode::Level | Mode::Exclusive);
                if !seen.is_empty() && (holds || registered.news) {
                    reports.push((registered.fd as u64, seen));
                    registered.news = false;
                }
            }
            reports
        }

        /// `None` is the wait that nothing can end.
        fn wait(&mut self, timeout: Option<u64>) -> Option<Vec<(u64, Readiness)>> {
            let end = timeout.map(|timeout| self.now + timeout);
            loop {
                let reports = self.reports();
                if !reports.is_empty() || end == Some(self.now) {
                    return Some(reports);
                }
                if end.is_none() && self.announced.is_empty() {
                    return None;
                }
                self.now += 1;
            }
        }
    }

    proptest! {
        #[test]
        fn random_scripts_run_as_documented(steps in prop::collection::vec(step(), 0..60)) {
            let mut bench = Bench::new();
            for fd in A..A + 4 {
                bench.script.set(fd, NONE);
            }
            let mut model = Model::default();
            for step in steps {
                match step {
                    Step::Set(fd, readiness) => {
                        bench.script.set(fd, readiness);
                        model.set(fd, readiness);
                    }
                    Step::After(after, fd, readiness) => {
                        bench.script.after(Duration::from_nanos(after), fd, readiness);
                        model.announced.push((model.now + after, fd, readiness));
                    }
                    Step::Update(fd, registration) => {
                        bench.add(fd, fd as u64, registration.interest, registration.mode);
                        model.update(fd, registration);
                    }
                    Step::Remove(fd) => {
                        bench.remove(fd);
                        model.registered.retain(|registered| registered.fd != fd);
                    }
                    Step::Advance(by) => {
                        bench.script.clock().advance(Duration::from_nanos(by));
                        model.now += by;
                    }
                    Step::Wait(timeout) => {
                        let found = bench.try_wait(timeout.map(Duration::from_nanos));
                        match model.wait(timeout) {
                            Some(expected) => prop_assert_eq!(found.unwrap(), expected),
                            None => prop_assert!(is_stalled(&found.unwrap_err())),
                        }
                    }
                }
                prop_assert_eq!(bench.elapsed(), model.now);
            }
        }
    }
}
