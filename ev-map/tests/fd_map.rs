//! What [`FdMap`] promises, one promise a test.

use std::os::fd::RawFd;

use ev_backend::{Change, Interest, Mode, Readiness, Registration, Tag};
use ev_map::{FdMap, MapError, Matched, Removed};

const READ: Interest = Interest::READ;
const WRITE: Interest = Interest::WRITE;

fn level(interest: Interest) -> Registration {
    Registration {
        interest,
        mode: Mode::Level,
    }
}

/// Inserts, expects a change and commits it.
fn tell(map: &mut FdMap, fd: RawFd, id: u32, registration: Registration) -> Change {
    let change = map.insert(fd, id, registration).unwrap().expect("a change");
    map.commit(&change);
    map.check_invariants();
    change
}

/// Removes, expects a change and commits it.
fn untell(map: &mut FdMap, id: u32) -> Change {
    let change = map.remove(id).unwrap().change.expect("a change");
    map.commit(&change);
    map.check_invariants();
    change
}

/// The events that a report of everything reaches; `None` if it is stale.
fn reached(map: &FdMap, tag: Tag) -> Option<Vec<u32>> {
    let mut ids = vec![];
    match map.matching(tag, Readiness::all(), |id, _| ids.push(id)) {
        Matched::Current => Some(ids),
        Matched::Stale => {
            assert_eq!(ids, [], "a stale report calls no event");
            None
        }
    }
}

#[test]
fn a_change_is_the_step_from_told_to_wanted() {
    let mut map = FdMap::new();
    let first = tell(&mut map, 3, 0, level(READ));
    assert_eq!((first.fd, first.old, first.new), (3, None, Some(level(READ))));
    let second = tell(&mut map, 3, 1, level(WRITE));
    assert_eq!((second.old, second.new), (first.new, Some(level(READ | WRITE))));

    let third = untell(&mut map, 0);
    assert_eq!((third.old, third.new), (second.new, Some(level(WRITE))));
    let fourth = untell(&mut map, 1);
    assert_eq!((fourth.old, fourth.new), (third.new, None));
    assert_eq!(map.change(3), None);
}

#[test]
fn what_the_kernel_knows_makes_no_change() {
    let mut map = FdMap::new();
    tell(&mut map, 3, 0, level(READ | WRITE));
    assert_eq!(map.insert(3, 1, level(READ)), Ok(None));
    assert_eq!(map.insert(3, 2, level(WRITE)), Ok(None));
    assert_eq!(map.remove(0), Some(Removed { fd: 3, change: None }));
    map.check_invariants();
}

#[test]
fn the_newest_event_is_called_first_with_what_it_asked_for() {
    let mut map = FdMap::new();
    tell(&mut map, 3, 0, level(READ));
    tell(&mut map, 3, 7, level(WRITE | Interest::ERROR));
    let tag = tell(&mut map, 3, 4, level(READ | WRITE | Interest::CLOSED)).tag;

    let calls = |readiness| {
        let mut calls = vec![];
        assert_eq!(
            map.matching(tag, readiness, |id, hit| calls.push((id, hit))),
            Matched::Current
        );
        calls
    };
    let (read, write) = (Readiness::READ, Readiness::WRITE);
    assert_eq!(calls(read), [(4, read), (0, read)]);
    assert_eq!(calls(Readiness::CLOSED), [(4, Readiness::CLOSED)]);
    assert_eq!(calls(Readiness::PRIORITY), []);
    let failed = read | write | Readiness::ERROR;
    assert_eq!(
        calls(failed),
        [(4, read | write), (7, write | Readiness::ERROR), (0, read)]
    );
    assert_eq!(map.events_on(3).collect::<Vec<_>>(), [4, 7, 0]);
}

#[test]
fn every_committed_change_has_a_tag_of_its_own() {
    let mut map = FdMap::new();
    let tags = [
        tell(&mut map, 3, 0, level(READ)).tag,
        tell(&mut map, 3, 1, level(WRITE)).tag,
        untell(&mut map, 0).tag,
        untell(&mut map, 1).tag,
        tell(&mut map, 3, 0, level(READ)).tag,
    ];
    for (index, tag) in tags.iter().enumerate() {
        assert_eq!(tag.fd(), 3);
        assert!(!tags[..index].contains(tag));
    }
    assert_eq!(reached(&map, tags[4]), Some(vec![0]));
    for late in &tags[..4] {
        assert_eq!(reached(&map, *late), None);
    }
}

#[test]
fn the_earlier_tag_is_good_until_the_commit() {
    let mut map = FdMap::new();
    let first = tell(&mut map, 3, 0, level(READ));
    let second = map.insert(3, 1, level(WRITE)).unwrap().unwrap();
    assert_eq!(reached(&map, first.tag), Some(vec![1, 0]));
    assert_eq!(reached(&map, second.tag), None);
    map.commit(&second);
    assert_eq!(reached(&map, first.tag), None);
    assert_eq!(reached(&map, second.tag), Some(vec![1, 0]));
}

#[test]
fn a_report_is_stale_from_the_removal_of_the_last_event_on() {
    let mut map = FdMap::new();
    let tag = tell(&mut map, 3, 0, level(READ)).tag;
    let removal = map.remove(0).unwrap().change.unwrap();
    assert_eq!(
        reached(&map, tag),
        None,
        "a backend that refuses the removal is noticed"
    );
    map.commit(&removal);
    assert_eq!(reached(&map, tag), None);
}

#[test]
fn a_late_report_does_not_reach_the_next_owner_of_the_descriptor() {
    let mut map = FdMap::new();
    let late = tell(&mut map, 3, 0, level(READ)).tag;
    let removal = untell(&mut map, 0);
    assert_eq!(reached(&map, late), None);
    let next = map.insert(3, 0, level(READ)).unwrap().unwrap();
    assert_eq!(reached(&map, late), None, "before the kernel is told");
    assert_eq!(
        reached(&map, removal.tag),
        None,
        "the tag of a removal is never reported"
    );
    assert_eq!(reached(&map, next.tag), None, "not committed");
    map.commit(&next);
    assert_eq!(reached(&map, late), None, "and afterwards");
    assert_eq!(reached(&map, next.tag), Some(vec![0]));
}

#[test]
fn tags_that_are_not_of_this_map_are_stale() {
    let mut map = FdMap::new();
    assert_eq!(reached(&map, Tag::new(3, 0)), None);
    map.insert(3, 0, level(READ)).unwrap();
    for bits in [0, 3, u64::MAX, u64::from(u32::MAX), 1 << 31] {
        assert_eq!(reached(&map, Tag::from_bits(bits)), None);
    }
}

#[test]
fn a_deferred_one_shot_event_inserted_again_costs_nothing() {
    let mut map = FdMap::new();
    let tag = tell(&mut map, 3, 0, level(READ)).tag;
    assert!(map.remove(0).unwrap().change.is_some());
    map.defer(3);
    assert_eq!(map.insert(3, 0, level(READ)), Ok(None));
    assert_eq!(map.next_deferred(), None);
    assert_eq!(reached(&map, tag), Some(vec![0]));
    map.check_invariants();
}

#[test]
fn deferred_changes_come_once_in_order_and_as_they_are_wanted_then() {
    let mut map = FdMap::new();
    for (fd, id) in [(9, 0), (3, 1), (300, 2)] {
        map.insert(fd, id, level(READ)).unwrap();
        map.defer(fd);
        map.defer(fd);
    }
    map.insert(9, 3, level(WRITE)).unwrap();
    map.defer(9);
    map.remove(1).unwrap();
    map.check_invariants();

    let change = map.next_deferred().unwrap();
    assert_eq!(
        (change.fd, change.old, change.new),
        (9, None, Some(level(READ | WRITE)))
    );
    map.commit(&change);
    let change = map.next_deferred().unwrap();
    assert_eq!(
        (change.fd, change.new),
        (300, Some(level(READ))),
        "3 was added and deleted"
    );
    assert_eq!(map.next_deferred(), None);
    map.check_invariants();

    // The change of 300 was not committed, so it is still due, to whoever asks for it.
    assert_eq!(map.change(300), Some(change));
    map.defer(300);
    assert_eq!(map.next_deferred(), Some(change));
    assert_eq!(map.next_deferred(), None);
}

#[test]
fn a_refused_insertion_is_undone_by_removing() {
    for mode in [Mode::Level, Mode::Edge, Mode::OneShot] {
        let read = Registration { interest: READ, mode };
        let mut map = FdMap::new();
        let tag = tell(&mut map, 3, 0, read).tag;
        assert!(
            map.insert(3, 1, Registration { interest: WRITE, mode })
                .unwrap()
                .is_some()
        );
        assert_eq!(map.remove(1), Some(Removed { fd: 3, change: None }), "{mode:?}");
        assert_eq!(map.change(3), None);
        assert_eq!(reached(&map, tag), Some(vec![0]));
        map.check_invariants();
    }
}

#[test]
fn a_new_event_arms_edge_and_one_shot_descriptors_again() {
    for mode in [Mode::Edge, Mode::OneShot] {
        let read = Registration { interest: READ, mode };
        let mut map = FdMap::new();
        tell(&mut map, 3, 0, read);
        assert_eq!(map.change(3), None);

        let again = tell(&mut map, 3, 1, read);
        assert_eq!((again.old, again.new), (Some(read), Some(read)), "{mode:?}");
        assert_eq!(map.change(3), None);
        assert_eq!(reached(&map, again.tag), Some(vec![1, 0]));

        // Gone and come again before the wait: other than level-triggered, this has to be told.
        map.remove(1).unwrap();
        map.remove(0).unwrap();
        map.defer(3);
        map.insert(3, 0, read).unwrap();
        let deferred = map.next_deferred().unwrap();
        assert_eq!((deferred.old, deferred.new), (Some(read), Some(read)), "{mode:?}");
        map.commit(&deferred);
        assert_eq!(map.change(3), None);

        // The need goes with the event that had it.
        map.insert(3, 1, read).unwrap();
        assert_eq!(map.remove(1), Some(Removed { fd: 3, change: None }));
        map.insert(3, 1, read).unwrap();
        map.insert(3, 2, read).unwrap();
        assert!(map.remove(2).unwrap().change.is_some());
        map.check_invariants();
    }
}

#[test]
fn a_mode_may_follow_another_once_the_descriptor_is_free() {
    let mut map = FdMap::new();
    tell(&mut map, 3, 0, level(READ));
    map.remove(0).unwrap();
    let edge = Registration {
        interest: READ,
        mode: Mode::Edge,
    };
    let change = tell(&mut map, 3, 0, edge);
    assert_eq!((change.old, change.new), (Some(level(READ)), Some(edge)));
}

#[test]
fn forgetting_defers_all_that_is_wanted() {
    let mut map = FdMap::new();
    let tags = [(600, 0), (3, 1), (9, 2)].map(|(fd, id)| tell(&mut map, fd, id, level(READ)).tag);
    tell(&mut map, 3, 3, level(WRITE));
    map.remove(2).unwrap();
    map.defer(9);
    map.insert(5, 4, level(WRITE)).unwrap();

    map.forget_told();
    map.check_invariants();
    for tag in tags {
        assert_eq!(reached(&map, tag), None);
    }
    let mut told = vec![];
    while let Some(change) = map.next_deferred() {
        assert_eq!(change.old, None);
        assert!(!tags.contains(&change.tag));
        told.push((change.fd, change.new.unwrap().interest));
        map.commit(&change);
    }
    assert_eq!(told, [(3, READ | WRITE), (5, WRITE), (600, READ)]);
}

#[test]
fn errors_change_nothing() {
    let mut map = FdMap::new();
    tell(&mut map, 3, 0, level(READ));
    let exclusive = Registration {
        interest: READ,
        mode: Mode::Exclusive,
    };
    tell(&mut map, 4, 1, exclusive);
    let edge = Registration {
        interest: READ,
        mode: Mode::Edge,
    };

    let conflict = |fd, present| MapError::ModeConflict { fd, present };
    for (fd, id, registration, error) in [
        (-1, 9, level(READ), MapError::BadFd(-1)),
        (RawFd::MIN, 9, level(READ), MapError::BadFd(RawFd::MIN)),
        (FdMap::MAX_FD + 1, 9, level(READ), MapError::BadFd(FdMap::MAX_FD + 1)),
        (RawFd::MAX, 9, level(READ), MapError::BadFd(RawFd::MAX)),
        (5, 9, level(Interest::empty()), MapError::NoInterest),
        (3, 9, edge, conflict(3, Mode::Level)),
        (3, 9, exclusive, conflict(3, Mode::Level)),
        (4, 9, exclusive, conflict(4, Mode::Exclusive)),
        (4, 9, level(READ), conflict(4, Mode::Exclusive)),
        (3, 0, level(WRITE), MapError::AlreadyOn(0)),
        (5, 0, level(READ), MapError::AlreadyOn(0)),
        (3, u32::MAX, level(WRITE), MapError::BadId(u32::MAX)),
        (3, (1 << 31) - 1, level(WRITE), MapError::BadId((1 << 31) - 1)),
        (5, u32::MAX, level(WRITE), MapError::BadId(u32::MAX)),
        (5, (1 << 31) - 1, level(WRITE), MapError::BadId((1 << 31) - 1)),
    ] {
        assert_eq!(map.insert(fd, id, registration), Err(error));
        assert!(!error.to_string().is_empty());
        assert_eq!(map.change(fd), None, "{error}");
        map.check_invariants();
    }
    for id in [u32::MAX, (1 << 31) - 1, 1 << 31] {
        assert!(!map.insert_again(5, id, level(READ)) && !map.remove_only(5, id), "{id}");
    }
    assert_eq!(map.iter().collect::<Vec<_>>(), [(3, 0), (4, 1)]);
    assert_eq!(map.registration(0), Some((3, level(READ))));
    assert_eq!(map.registration(1), Some((4, exclusive)));
}

#[test]
fn the_last_removal_is_taken_back() {
    let mut map = FdMap::new();
    tell(&mut map, 3, 0, level(READ));
    tell(&mut map, 4, 1, level(READ));
    assert!(map.remove_only(3, 0));
    assert!(map.insert_again(3, 0, level(READ)) && !map.has_deferred());
    map.check_invariants();

    assert!(map.remove_only(3, 0) && map.remove_only(4, 1));
    assert!(
        map.insert_again(3, 0, level(READ)) && map.has_deferred(),
        "there was a removal since"
    );
    assert_eq!(map.iter().collect::<Vec<_>>(), [(3, 0)]);
    map.check_invariants();
}

#[test]
fn an_id_that_looks_like_several_members_takes_none_off() {
    let mut map = FdMap::new();
    tell(&mut map, 3, 0, level(READ));
    assert_eq!(map.insert(3, 1, level(READ)), Ok(None));
    assert!(!map.remove_only(3, 1 | 1 << 31));
    assert_eq!(map.len(), 2);
    map.check_invariants();
}

#[test]
fn strangers_are_nothing() {
    let mut map = FdMap::new();
    tell(&mut map, 3, 0, level(READ));
    for id in [1, 1000, u32::MAX] {
        assert_eq!(map.remove(id), None);
        assert_eq!(map.registration(id), None);
    }
    for fd in [-1, -2, 4, 1000, RawFd::MAX] {
        assert_eq!(map.change(fd), None);
        assert_eq!(map.events_on(fd).count(), 0);
        map.defer(fd);
        map.commit(&Change {
            fd,
            tag: Tag::new(fd, 5),
            old: None,
            new: None,
        });
    }
    assert_eq!(map.next_deferred(), None);
    assert_eq!(map.len(), 1);
    map.check_invariants();
}

#[test]
fn more_events_on_a_descriptor_than_libevent_can_count() {
    let mut map = FdMap::new();
    let tag = tell(&mut map, 3, 0, level(READ)).tag;
    for id in 1..70_000 {
        assert_eq!(map.insert(3, id, level(READ)), Ok(None));
    }
    assert_eq!(map.len(), 70_000);
    assert_eq!(reached(&map, tag).unwrap().len(), 70_000);
    for id in 0..69_999 {
        assert_eq!(map.remove(id), Some(Removed { fd: 3, change: None }));
    }
    assert_eq!(untell(&mut map, 69_999).new, None);
    assert!(map.is_empty());
}

#[test]
fn the_highest_descriptor_is_on_the_map() {
    let mut map = FdMap::new();
    let tag = tell(&mut map, FdMap::MAX_FD, 0, level(READ)).tag;
    assert_eq!(reached(&map, tag), Some(vec![0]));
    assert_eq!(map.iter().collect::<Vec<_>>(), [(FdMap::MAX_FD, 0)]);
}

#[test]
fn generations_wrap() {
    let mut map = FdMap::new();
    let change = tell(&mut map, 3, 0, level(READ));
    // 2^32 changes would do the same.
    map.commit(&Change {
        tag: Tag::new(3, u32::MAX),
        ..change
    });
    let wrapped = tell(&mut map, 3, 1, level(WRITE));
    assert_eq!(wrapped.tag.generation(), 0);
    assert_eq!(reached(&map, wrapped.tag), Some(vec![1, 0]));
    assert_eq!(reached(&map, Tag::new(3, u32::MAX)), None);
    map.check_invariants();
}

#[test]
fn mixed_modes_are_the_latest_ones() {
    let edge = |interest| Registration {
        interest,
        mode: Mode::Edge,
    };
    let mut map = FdMap::new();
    map.mix_modes();
    tell(&mut map, 3, 0, level(READ));
    let joined = tell(&mut map, 3, 1, edge(WRITE));
    assert_eq!(joined.new, Some(edge(READ | WRITE)));
    let left = untell(&mut map, 0);
    assert_eq!(left.new, Some(edge(WRITE)), "the mode stays with those that are left");
    let back = tell(&mut map, 3, 2, level(WRITE));
    assert_eq!(back.new, Some(level(WRITE)), "the same interest, and yet a change");

    let one_shot = Registration {
        interest: READ,
        mode: Mode::OneShot,
    };
    let present = Mode::Level;
    assert_eq!(
        map.insert(3, 3, one_shot),
        Err(MapError::ModeConflict { fd: 3, present })
    );
    map.check_invariants();
}
