//! [`SignalMap`]: what it promises, and a comparison with a naive map.

use std::collections::BTreeMap;

use ev_map::{MapError, RemovedSignal, Sharing, SignalMap};
use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn errors_change_nothing() {
    let mut map = SignalMap::new();
    map.insert(2, 0).unwrap();
    for (signal, id, error) in [
        (0, 9, MapError::BadSignal(0)),
        (-1, 9, MapError::BadSignal(-1)),
        (i32::MIN, 9, MapError::BadSignal(i32::MIN)),
        (129, 9, MapError::BadSignal(129)),
        (i32::MAX, 9, MapError::BadSignal(i32::MAX)),
        (2, 0, MapError::AlreadyOn(0)),
        (3, 0, MapError::AlreadyOn(0)),
        (3, u32::MAX, MapError::BadId(u32::MAX)),
        (3, (1 << 31) - 1, MapError::BadId((1 << 31) - 1)),
    ] {
        assert_eq!(map.insert(signal, id), Err(error));
        assert!(!error.to_string().is_empty());
        map.check_invariants();
    }
    assert_eq!(map.iter().collect::<Vec<_>>(), [(2, 0)]);
}

#[test]
fn strangers_are_nothing() {
    let mut map = SignalMap::default();
    map.insert(2, 0).unwrap();
    for id in [1, 1000, u32::MAX] {
        assert_eq!(map.remove(id), None);
        assert_eq!(map.signal_of(id), None);
    }
    for signal in [i32::MIN, -1, 0, 1, 3, 129, i32::MAX] {
        assert_eq!(map.events_on(signal).count(), 0);
        map.matching(signal, |id| panic!("{id} waits for signal 2, not {signal}"));
    }
    map.check_invariants();
}

#[test]
fn the_lowest_and_the_highest_signal() {
    let mut map = SignalMap::new();
    assert_eq!(map.insert(1, 0), Ok(Sharing::Alone));
    assert_eq!(map.insert(SignalMap::MAX_SIGNAL, 1), Ok(Sharing::Alone));
    assert_eq!(map.iter().collect::<Vec<_>>(), [(1, 0), (128, 1)]);
    assert_eq!(
        map.remove(1),
        Some(RemovedSignal {
            signal: 128,
            sharing: Sharing::Alone
        })
    );
}

#[derive(Clone, Debug)]
enum Op {
    Insert { signal: i32, id: u32 },
    Remove { id: u32 },
}

fn op() -> impl Strategy<Value = Op> {
    let signal = prop::sample::select(vec![1, 2, 15, 64, 128]);
    prop_oneof![
        3 => (signal, 0..12_u32).prop_map(|(signal, id)| Op::Insert { signal, id }),
        2 => (0..12_u32).prop_map(|id| Op::Remove { id }),
    ]
}

fn sharing(others: &[u32]) -> Sharing {
    if others.is_empty() {
        Sharing::Alone
    } else {
        Sharing::Shared
    }
}

proptest! {
    #[test]
    fn agrees_with_a_naive_map(ops in vec(op(), 1..100)) {
        let mut map = SignalMap::new();
        // By signal the events, newest first.
        let mut model = BTreeMap::<i32, Vec<u32>>::new();
        for op in ops {
            match op {
                Op::Insert { signal, id } => {
                    let expected = if model.values().any(|ids| ids.contains(&id)) {
                        Err(MapError::AlreadyOn(id))
                    } else {
                        let ids = model.entry(signal).or_default();
                        let sharing = sharing(ids);
                        ids.insert(0, id);
                        Ok(sharing)
                    };
                    prop_assert_eq!(map.insert(signal, id), expected);
                }
                Op::Remove { id } => {
                    let expected = model.iter_mut().find(|(_, ids)| ids.contains(&id)).map(|(&signal, ids)| {
                        ids.retain(|other| *other != id);
                        RemovedSignal { signal, sharing: sharing(ids) }
                    });
                    prop_assert_eq!(map.remove(id), expected);
                }
            }
            map.check_invariants();
            let all: Vec<_> = model.iter().flat_map(|(&signal, ids)| ids.iter().map(move |&id| (signal, id))).collect();
            prop_assert_eq!(map.len(), all.len());
            prop_assert_eq!(map.is_empty(), all.is_empty());
            for &(signal, id) in &all {
                prop_assert_eq!(map.signal_of(id), Some(signal));
            }
            for (&signal, ids) in &model {
                let mut called = vec![];
                map.matching(signal, |id| called.push(id));
                prop_assert_eq!(&called, ids);
                prop_assert_eq!(&map.events_on(signal).collect::<Vec<_>>(), ids);
            }
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), all);
        }
    }
}
