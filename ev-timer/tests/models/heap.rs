//! `DeadlineHeap` against a naive model.

use crate::model::Model;
use ev_timer::{DeadlineHeap, Time};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Set { id: u32, deadline: u64 },
    Cancel { id: u32 },
    Pop { now: u64 },
    Reserve { id: u32 },
    Clear,
    ShrinkToFit,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || prop_oneof![30 => 0..60_u32, 1 => 0..500_u32];
    prop_oneof![
        // Few deadlines, so that many are equal.
        30 => (id(), 0..50_u64).prop_map(|(id, deadline)| Step::Set { id, deadline }),
        10 => id().prop_map(|id| Step::Cancel { id }),
        10 => (0..50_u64).prop_map(|now| Step::Pop { now }),
        1 => id().prop_map(|id| Step::Reserve { id }),
        1 => prop_oneof![Just(Step::Clear), Just(Step::ShrinkToFit)],
    ]
}

proptest! {
    #[test]
    fn behaves_as_the_model(steps in vec(step(), 0..300)) {
        let (mut heap, mut model) = (DeadlineHeap::new(), Model::default());
        for step in steps {
            match step {
                Step::Set { id, deadline } => {
                    heap.set(id, Time::from_nanos(deadline));
                    model.set(id, Time::from_nanos(deadline));
                }
                Step::Cancel { id } => prop_assert_eq!(heap.cancel(id), model.cancel(id)),
                Step::Pop { now } => {
                    let now = Time::from_nanos(now);
                    prop_assert_eq!(heap.pop_expired(now), model.pop_expired(now));
                }
                Step::Reserve { id } => heap.try_reserve(id).unwrap(),
                Step::Clear => {
                    heap.clear();
                    model.clear();
                }
                Step::ShrinkToFit => heap.shrink_to_fit(),
            }
            heap.check_invariants();
            prop_assert_eq!(heap.len(), model.len());
            prop_assert!(heap.next_wake() <= model.first().map(|(_, deadline)| deadline));
            prop_assert_eq!(heap.next_wake().is_none(), heap.is_empty());
            prop_assert_eq!(heap.deadline(0), model.deadline(0));
        }
        prop_assert_eq!(heap.iter().collect::<Vec<_>>(), model.by_id());
        while let Some(expected) = model.pop_expired(Time::MAX) {
            prop_assert_eq!(heap.pop_expired(Time::MAX), Some(expected));
        }
        prop_assert_eq!(heap.pop_expired(Time::MAX), None);
    }
}

#[test]
fn ids_have_a_limit() {
    let mut heap = DeadlineHeap::with_capacity(4);
    assert!(heap.try_reserve(DeadlineHeap::MAX_ID + 1).is_err());
    assert_eq!(heap.cancel(u32::MAX), None);
}
