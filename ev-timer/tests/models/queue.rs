//! `TimeoutQueue` against a naive model.

use std::time::Duration;

use crate::model::Model;
use ev_timer::{Time, TimeoutQueue};
use proptest::collection::vec;
use proptest::prelude::*;

const TIMEOUT: Duration = Duration::from_nanos(30);

#[derive(Clone, Debug)]
enum Step {
    /// `late`: how far before the clock the given time is.
    Set {
        id: u32,
        late: u64,
    },
    Cancel {
        id: u32,
    },
    Pop {
        passed: u64,
    },
    Reserve {
        id: u32,
    },
    Clear,
    ShrinkToFit,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || prop_oneof![30 => 0..30_u32, 1 => 0..500_u32];
    prop_oneof![
        20 => (id(), prop_oneof![3 => Just(0), 1 => 0..40_u64]).prop_map(|(id, late)| Step::Set { id, late }),
        8 => id().prop_map(|id| Step::Cancel { id }),
        12 => (0..10_u64).prop_map(|passed| Step::Pop { passed }),
        1 => id().prop_map(|id| Step::Reserve { id }),
        1 => prop_oneof![Just(Step::Clear), Just(Step::ShrinkToFit)],
    ]
}

proptest! {
    #[test]
    fn behaves_as_the_model(steps in vec(step(), 0..300)) {
        let (mut queue, mut model) = (TimeoutQueue::new(TIMEOUT), Model::default());
        let mut now = 100;
        for step in steps {
            match step {
                Step::Set { id, late } => {
                    // The clock went back: the time of the last timer in the queue counts.
                    let last = queue.iter().last().map_or(Time::ZERO, |(_, deadline)| deadline);
                    queue.set(id, Time::from_nanos(now - late));
                    model.set(id, last.max(Time::from_nanos(now - late) + TIMEOUT));
                }
                Step::Cancel { id } => prop_assert_eq!(queue.cancel(id), model.cancel(id)),
                Step::Pop { passed } => {
                    now += passed;
                    let now = Time::from_nanos(now);
                    prop_assert_eq!(queue.pop_expired(now), model.pop_expired(now));
                }
                Step::Reserve { id } => queue.try_reserve(id).unwrap(),
                Step::Clear => {
                    queue.clear();
                    model.clear();
                }
                Step::ShrinkToFit => queue.shrink_to_fit(),
            }
            queue.check_invariants();
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.is_empty(), model.len() == 0);
            prop_assert_eq!(queue.next_deadline(), model.first().map(|(_, deadline)| deadline));
            prop_assert_eq!(queue.deadline(0), model.deadline(0));
        }
        let in_order: Vec<_> = std::iter::from_fn(|| model.pop_expired(Time::MAX)).collect();
        prop_assert_eq!(queue.iter().collect::<Vec<_>>(), in_order);
    }
}

#[test]
fn says_what_it_is() {
    let mut queue = TimeoutQueue::new(Duration::MAX);
    assert_eq!(queue.timeout(), Duration::from_nanos(u64::MAX));
    queue.set(3, Time::from_nanos(1));
    assert_eq!(queue.deadline(3), Some(Time::MAX));
    assert_eq!(queue.pop_expired(Time::from_nanos(u64::MAX - 1)), None);
    assert!(queue.try_reserve(TimeoutQueue::MAX_ID + 1).is_err());
}
