//! The interest matrix: what is asked of a descriptor is either really reported or refused, and then nothing has changed.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;

use ev_core::backend::UpdateError;
use ev_core::{Causes, Counts, Error, Features, Interest, Io, Mode, Outcome, RawIo};

use super::scenarios;
use crate::cell::Cell;
use crate::events::Loop;
use crate::harness::{Skip, Verdict};
use crate::matrix::{
    self, Answer, CONDITIONS, Condition, FileAnswer, INTERESTS, KQUEUE, MODES, SINGLE, WAYS, Way, measure,
    measure_file, perform, rule, wanted,
};
use crate::support::{pair, ready_pair, watch};

scenarios!("matrix":
    level,
    edge,
    one_shot,
    exclusive,
    every_kind_of_file,
    regular_files,
    what_is_refused_changes_nothing,
    a_refused_change_keeps_the_old_interest,
    no_interest_is_refused,
    the_features_are_known,
    the_document_says_what_is_measured,
);

fn features(cell: &Cell) -> Features {
    cell.open().events().features()
}

/// Measures every interest in a mode, by every way to ask for it.
fn assert_rule(cell: &Cell, mode: Mode) {
    let features = features(cell);
    for way in WAYS {
        for interest in INTERESTS {
            // There is nothing to change from in a mode that is refused whatever the interest.
            if way == Way::Change && matches!(rule(features, Interest::READ, mode), Answer::Refused(_)) {
                continue;
            }
            let expected = rule(features, interest, mode);
            assert_eq!(
                measure(cell, interest, mode, way),
                expected,
                "{interest:?}, {mode:?}, {way:?}"
            );
        }
    }
}

/// Level-triggered, every interest that the backend has is reported for as long as its condition holds.
fn level(cell: &Cell) -> Verdict {
    assert_rule(cell, Mode::Level);
    Ok(())
}

/// Edge-triggered, every interest is reported once and anew when it is added anew; or edges are refused.
fn edge(cell: &Cell) -> Verdict {
    cell.beyond_libkqueue("libkqueue forgets the edge of one direction when the other is deleted")?;
    assert_rule(cell, Mode::Edge);
    Ok(())
}

/// In one-shot mode, which every backend has, an interest is reported once and then not until it is added anew.
fn one_shot(cell: &Cell) -> Verdict {
    assert_rule(cell, Mode::OneShot);
    Ok(())
}

/// An exclusive interest is reported like a level-triggered one; or it is refused, wholly or for some conditions.
fn exclusive(cell: &Cell) -> Verdict {
    assert_rule(cell, Mode::Exclusive);
    Ok(())
}

/// What happens to sockets and to both ends of pipes is told to every interest that it concerns, and to no other.
fn every_kind_of_file(cell: &Cell) -> Verdict {
    let features = features(cell);
    for condition in CONDITIONS {
        for interest in SINGLE {
            let Answer::Reported(_) = rule(features, interest, Mode::Level) else {
                continue;
            };
            // The ends of a pipe have one direction each; another backend than kqueue answers for the other one, too.
            if cell.backend.name == "kqueue" && !is_natural(condition, interest) {
                continue;
            }
            let expected: Causes = matrix::calls(condition.after(features), interest).into_iter().collect();
            assert_eq!(
                perform(cell, condition, interest, Mode::Level, Way::Insert),
                Answer::Reported(expected),
                "{condition:?}, {interest:?}"
            );
        }
    }
    Ok(())
}

fn is_natural(condition: Condition, interest: Interest) -> bool {
    match condition {
        Condition::PipeData | Condition::WriterGone => interest == Interest::READ,
        Condition::PipeRoom | Condition::ReaderGone => interest == Interest::WRITE,
        _ => true,
    }
}

/// A regular file is always ready to be read and written, and for nothing else; or the kernel refuses it by `EPERM`.
fn regular_files(cell: &Cell) -> Verdict {
    let features = features(cell);
    for (mode, interest) in MODES
        .into_iter()
        .flat_map(|mode| INTERESTS.map(|interest| (mode, interest)))
    {
        for way in [Way::Insert, Way::Own, Way::Add] {
            let expected = match rule(features, interest, mode) {
                Answer::Refused(missing) => FileAnswer::Refused(missing),
                Answer::Reported(_) if features.contains(Features::ANY_FILE) => {
                    FileAnswer::Ready(wanted(interest) & (Causes::READ | Causes::WRITE))
                }
                Answer::Reported(_) if cell.defers_raw_changes() && way != Way::Own => FileAnswer::ToldLater,
                Answer::Reported(_) => FileAnswer::NotPermitted,
            };
            let answer = measure_file(cell, interest, mode, way);
            assert_eq!(answer, expected, "{interest:?}, {mode:?}, {way:?}");
        }
    }
    Ok(())
}

/// Every interest and mode that the backend does not have.
fn refused(cell: &Cell) -> Vec<(Interest, Mode, Features)> {
    let features = features(cell);
    let all = MODES
        .into_iter()
        .flat_map(|mode| INTERESTS.map(|interest| (interest, mode)));
    all.filter_map(|(interest, mode)| match rule(features, interest, mode) {
        Answer::Refused(missing) => Some((interest, mode, missing)),
        Answer::Reported(_) => None,
    })
    .collect()
}

fn assert_unsupported<T: std::fmt::Debug>(answer: Result<T, Error>, missing: Features, what: &str) {
    match answer {
        Err(Error::Update(UpdateError::Unsupported(named))) => assert_eq!(named, missing, "{what}"),
        other => panic!("{what}: {other:?}"),
    }
}

/// All that could be seen to have changed.
fn state(lp: &mut Loop) -> (Counts, Counts, String) {
    let mut events = lp.events();
    (events.counts(), events.maxima(), events.dump())
}

/// A refusal names what is missing and leaves no trace: not in the loop, not on the descriptor, not in the event.
fn what_is_refused_changes_nothing(cell: &Cell) -> Verdict {
    let refused = refused(cell);
    assert!(!refused.is_empty(), "no mechanism has everything");
    for (interest, mode, missing) in refused {
        let what = format!("{interest:?}, {mode:?}");
        let mut lp = cell.open();
        let (near, mut far) = pair();
        let fd = near.as_raw_fd();
        let (_, log) = watch(&mut lp, RawIo::new(fd, Interest::READ));
        let before = state(&mut lp);

        let raw = || RawIo::new(fd, interest).mode(mode);
        assert_unsupported(lp.events().try_insert(raw(), |_, (), _| {}), missing, &what);
        let owned = Io::new(near.try_clone().unwrap(), interest).mode(mode);
        assert_unsupported(lp.events().try_insert(owned, |_, _, _| {}), missing, &what);
        assert_eq!(state(&mut lp), before, "{what}");

        let key = lp.events().insert(raw().disarmed(), |_, (), _| panic!("never added"));
        let before = state(&mut lp);
        assert_unsupported(lp.events().add(key), missing, &what);
        assert!(!lp.events().is_pending(key).unwrap(), "{what}");
        assert_eq!(state(&mut lp), before, "{what}");

        lp.pass();
        assert_eq!(log.take(), [], "{what}");
        far.write_all(b"x").unwrap();
        for _ in 0..2 {
            lp.pass();
            assert_eq!(log.take(), [Causes::READ], "{what}: still level-triggered");
        }
    }
    Ok(())
}

/// An event that asks for what the backend does not have keeps what it had asked for before.
fn a_refused_change_keeps_the_old_interest(cell: &Cell) -> Verdict {
    let features = features(cell);
    for (interest, mode, missing) in refused(cell) {
        if matches!(rule(features, Interest::READ, mode), Answer::Refused(_)) {
            continue;
        }
        let what = format!("{interest:?}, {mode:?}");
        let mut lp = cell.open();
        let (near, mut far) = pair();
        let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ).mode(mode));
        let described = lp.events().describe(key).unwrap();
        assert_unsupported(lp.events().set_interest(key, interest), missing, &what);
        assert_eq!(lp.events().describe(key).unwrap(), described, "{what}");
        lp.pass();
        assert_eq!(log.take(), [], "{what}");
        far.write_all(b"x").unwrap();
        lp.pass();
        assert_eq!(log.take(), [Causes::READ], "{what}");
    }
    Ok(())
}

/// An event that asks for nothing cannot be added, nor can one stop asking; where there is no file either.
fn no_interest_is_refused(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, _far) = ready_pair();
    let nothing = || RawIo::new(near.as_raw_fd(), Interest::empty());
    let inserted = lp.events().try_insert(nothing(), |_, (), _| {});
    assert!(is_no_interest(&inserted), "{inserted:?}");
    let owned = Io::new(near.try_clone().unwrap(), Interest::empty());
    let inserted = lp.events().try_insert(owned, |_, _, _| {});
    assert!(is_no_interest(&inserted), "{inserted:?}");
    assert_eq!(lp.events().len(), 0);
    assert_eq!(lp.pass(), Outcome::Empty);

    let (key, log) = watch(&mut lp, RawIo::new(near.as_raw_fd(), Interest::READ));
    let changed = lp.events().set_interest(key, Interest::empty());
    assert!(is_no_interest(&changed), "{changed:?}");
    lp.pass();
    assert_eq!(log.take(), [Causes::READ]);
    Ok(())
}

fn is_no_interest<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Update(UpdateError::NoInterest)))
}

/// The features of each mechanism: a change of them is a change of the matrix.
fn the_features_are_known(cell: &Cell) -> Verdict {
    if !cfg!(target_os = "linux") {
        return Err(Skip("known for Linux"));
    }
    let expected = match cell.backend.name {
        "epoll" | "epoll-deferred" => Features::all() - Features::ANY_FILE,
        "poll" => Features::ANY_FILE | Features::PRIORITY | Features::ERROR_ONLY | Features::CLOSED,
        "select" => Features::ANY_FILE | Features::PRIORITY,
        "kqueue" => KQUEUE,
        _ => return Err(Skip("not a mechanism of the system")),
    };
    assert_eq!(features(cell), expected);
    Ok(())
}

/// The tables of `docs/interest-matrix.md` are what is measured here.
fn the_document_says_what_is_measured(cell: &Cell) -> Verdict {
    if !cfg!(target_os = "linux") || !matrix::is_shown(cell.backend) {
        return Err(Skip("it tells of the mechanisms of Linux"));
    }
    let Ok(document) = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/interest-matrix.md")) else {
        return Err(Skip("the document is not part of the crate"));
    };
    if document.contains(&format!("| {} (not measured here) |", cell.backend.name)) {
        return Err(Skip("it was written where this backend cannot run"));
    }
    for row in matrix::measured_rows(cell) {
        assert!(document.lines().any(|line| line == row), "not in the document: {row}");
    }
    let header = document
        .lines()
        .find(|line| line.starts_with("| |"))
        .expect("the second table's header");
    let entries = |line: &str| {
        line.split(" | ")
            .map(|entry| entry.trim_matches(['|', ' ']).to_string())
            .collect()
    };
    let columns: Vec<String> = entries(header);
    let column = columns
        .iter()
        .position(|name| name == cell.backend.name)
        .expect("a column");
    for row in matrix::condition_rows(&[*cell]) {
        let measured: Vec<String> = entries(&row);
        let line = document
            .lines()
            .find(|line| line.starts_with(&format!("| {} |", measured[0])))
            .expect("a row for each condition");
        assert_eq!(entries(line)[column], measured[1], "{}", measured[0]);
    }
    Ok(())
}
