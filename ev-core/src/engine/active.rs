//! The events whose callbacks are due: a queue a priority, and one for the next turn.
//!
//! ```text
//! queues[0]  head ⇄ … ⇄ tail      most urgent, first in first out
//! queues[n]  …
//! later      …                    moved to their queues when the next turn begins
//! ```
//!
//! Whether and why an event is active, its [`Activation`], is part of the event's slot: most of what is done with an event
//! has to know, and finds it there. The links are an array of their own.
//!
//! Invariants:
//! 1. An event is in at most one queue, as the `state` of its activation says: in that of its priority, or in `later`.
//! 2. A queue's events are linked both ways, in the order of activation. The `next` of a tail is
//!    `NIL`; the `prev` of a head and the `tail` of an empty queue mean nothing.
//! 3. `len` is the number of events in all queues, `later` included.
//! 4. An internal event is in no queue. If it has causes, `internal` is set.
//! 5. The queues from `priorities` on are empty, so the last one always is: there are no more than 255 priorities.

use std::collections::TryReserveError;

use super::Causes;
use super::slots::{Slot, Slots, try_grow};

/// No event: there is no such slot.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// In the queue of its priority.
    InTurn,
    /// In `later`.
    Later,
    /// One of the library's own, which are not queued.
    Internal,
}

/// Whether and why an event is active.
#[derive(Clone, Copy)]
pub(crate) struct Activation {
    causes: Causes,
    state: State,
    priority: u8,
}

impl Activation {
    /// That of an event that was never active.
    pub(crate) const NEW: Self = Self {
        causes: Causes::empty(),
        state: State::Idle,
        priority: 0,
    };

    /// Declares the event to be one of the library's own.
    pub(crate) fn set_internal(&mut self) {
        self.state = State::Internal;
        // Those of the event that was in the slot before.
        self.causes = Causes::empty();
    }

    #[inline]
    pub(crate) fn priority(self) -> u8 {
        self.priority
    }

    /// Sets the priority of an event that is not in this turn's queues.
    #[inline]
    pub(crate) fn set_priority(&mut self, priority: u8) {
        debug_assert!(!self.is_in_turn(), "its queue is that of its priority");
        self.priority = priority;
    }

    /// The causes of an active event, `None` for one that is not.
    #[inline]
    pub(crate) fn causes(self) -> Option<Causes> {
        matches!(self.state, State::InTurn | State::Later).then_some(self.causes)
    }

    /// Whether the event is in no queue, and not one of the library's own.
    #[inline]
    pub(crate) fn is_idle(self) -> bool {
        self.state == State::Idle
    }

    /// Whether the event is on the queue of its priority: active, and not only from the next turn on.
    pub(crate) fn is_in_turn(self) -> bool {
        self.state == State::InTurn
    }

    /// Takes causes away from an event, which stays active even if none is left.
    pub(crate) fn take_back(&mut self, causes: Causes) {
        self.causes -= causes;
    }

    /// Whether this internal event was active, which it is not any more.
    pub(crate) fn take_internal(&mut self) -> bool {
        !std::mem::take(&mut self.causes).is_empty()
    }
}

/// The neighbours of an event in its queue.
#[derive(Clone, Copy)]
struct Links {
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct Queue {
    head: u32,
    tail: u32,
}

const EMPTY: Queue = Queue { head: NIL, tail: NIL };

pub(crate) struct ActiveQueues {
    /// One for each number of eight bits, so that no look for one fails.
    queues: [Queue; 256],
    priorities: u8,
    later: Queue,
    links: Vec<Links>,
    len: usize,
    internal: bool,
}

/// What became of an activation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pushed {
    /// The event is now at the end of its queue.
    Queued,
    /// It was active already, or is internal; the causes were added to.
    Merged,
}

impl Queue {
    #[inline]
    fn push(&mut self, links: &mut [Links], id: u32) {
        links[id as usize] = Links {
            prev: self.tail,
            next: NIL,
        };
        if self.head == NIL {
            self.head = id;
        } else {
            links[self.tail as usize].next = id;
        }
        self.tail = id;
    }

    fn unlink(&mut self, links: &mut [Links], id: u32) {
        let Links { prev, next } = links[id as usize];
        let is_last = self.tail == id;
        if self.head == id {
            self.head = next;
        } else {
            links[prev as usize].next = next;
        }
        if is_last {
            self.tail = prev;
        } else {
            links[next as usize].prev = prev;
        }
    }

    fn iter(self, links: &[Links]) -> impl Iterator<Item = u32> + '_ {
        let linked = |id: u32| (id != NIL).then_some(id);
        std::iter::successors(linked(self.head), move |&id| linked(links[id as usize].next))
    }
}

impl ActiveQueues {
    pub(crate) fn new(priorities: u8) -> Self {
        Self {
            queues: [EMPTY; 256],
            priorities,
            later: EMPTY,
            links: Vec::new(),
            len: 0,
            internal: false,
        }
    }

    pub(crate) fn priorities(&self) -> u8 {
        self.priorities
    }

    /// Changes the number of priorities while nothing is active.
    pub(crate) fn set_priorities(&mut self, priorities: u8) {
        debug_assert_eq!(self.len, 0, "no queue that is taken away holds an event");
        self.priorities = priorities;
    }

    /// Makes sure that activating `id` needs no memory.
    #[inline]
    pub(crate) fn try_reserve(&mut self, id: u32) -> Result<(), TryReserveError> {
        if (id as usize) < self.links.len() {
            return Ok(());
        }
        self.try_grow(id)
    }

    #[cold]
    fn try_grow(&mut self, id: u32) -> Result<(), TryReserveError> {
        let needed = id as usize + 1;
        try_grow(&mut self.links, needed)?;
        self.links.resize(needed, Links { prev: NIL, next: NIL });
        Ok(())
    }

    /// The number of active events, without internal ones.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is active but internal events.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether internal events are active.
    #[inline]
    pub(crate) const fn has_internal(&self) -> bool {
        self.internal
    }

    /// Whether any event of that priority is active.
    #[inline]
    pub(crate) fn has(&self, priority: u8) -> bool {
        self.queues[usize::from(priority)].head != NIL
    }

    /// Puts an event at the end of its priority's queue. One that waits for the next turn is promoted.
    #[expect(clippy::inline_always, reason = "part of every report")]
    #[inline(always)]
    pub(crate) fn push<P>(&mut self, slots: &mut Slots<P>, id: u32, causes: Causes) -> Pushed {
        let event = &mut slots.get_mut(id).activation;
        if event.state != State::Idle {
            return self.push_again(slots, id, causes);
        }
        event.state = State::InTurn;
        event.causes = causes;
        self.queues[usize::from(event.priority)].push(&mut self.links, id);
        self.len += 1;
        Pushed::Queued
    }

    #[cold]
    fn push_again<P>(&mut self, slots: &mut Slots<P>, id: u32, causes: Causes) -> Pushed {
        let event = &mut slots.get_mut(id).activation;
        event.causes |= causes;
        match event.state {
            State::Later => {
                event.state = State::InTurn;
                let queue = &mut self.queues[usize::from(event.priority)];
                self.later.unlink(&mut self.links, id);
                queue.push(&mut self.links, id);
                return Pushed::Queued;
            }
            State::Internal => self.internal = true,
            State::Idle | State::InTurn => {}
        }
        Pushed::Merged
    }

    /// Puts an event on the queue of the next turn; only adds the causes if it is active in any way.
    pub(crate) fn push_later<P>(&mut self, slots: &mut Slots<P>, id: u32, causes: Causes) -> Pushed {
        let event = &mut slots.get_mut(id).activation;
        if event.state != State::Idle {
            event.causes |= causes;
            return Pushed::Merged;
        }
        event.state = State::Later;
        event.causes = causes;
        self.later.push(&mut self.links, id);
        self.len += 1;
        Pushed::Queued
    }

    /// Takes an event out, wherever it is. `None` if it was not active.
    #[inline]
    pub(crate) fn remove<P>(&mut self, slots: &mut Slots<P>, id: u32) -> Option<Causes> {
        let event = &mut slots.get_mut(id).activation;
        let causes = event.causes()?;
        let queue = match event.state {
            State::Later => &mut self.later,
            _ => &mut self.queues[usize::from(event.priority)],
        };
        event.state = State::Idle;
        queue.unlink(&mut self.links, id);
        self.len -= 1;
        Some(causes)
    }

    /// Takes the first event of a priority out, and leads to its slot.
    #[inline]
    pub(crate) fn pop<'a, P>(&mut self, slots: &'a mut Slots<P>, priority: u8) -> Option<(u32, Causes, &'a mut Slot)> {
        let queue = &mut self.queues[usize::from(priority)];
        let id = queue.head;
        // There is no slot `NIL`.
        let slot = slots.at(id)?;
        slot.activation.state = State::Idle;
        queue.head = self.links[id as usize].next;
        self.len -= 1;
        Some((id, slot.activation.causes, slot))
    }

    /// Whether any internal event was active. Which ones is then told by [`Activation::take_internal`].
    #[inline]
    pub(crate) fn begin_internal(&mut self) -> bool {
        std::mem::take(&mut self.internal)
    }

    /// The active events, the most urgent first and in the order of activation; those of the next turn come last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let queues = self.queues.iter().chain(std::iter::once(&self.later));
        queues.flat_map(|queue| queue.iter(&self.links))
    }

    /// The most urgent priority that has an active event.
    #[inline]
    pub(crate) fn most_urgent(&self) -> Option<u8> {
        self.queues[..usize::from(self.priorities)]
            .iter()
            .position(|queue| queue.head != NIL)
            .map(|priority| priority as u8)
    }

    /// Moves the events of the next turn to the queues of their priorities, in order, and tells of each.
    #[inline]
    pub(crate) fn promote_later<P>(&mut self, slots: &mut Slots<P>, mut promoted: impl FnMut(u32, &Slot)) {
        while self.later.head != NIL {
            let id = self.later.head;
            let event = &mut slots.get_mut(id).activation;
            self.later.head = self.links[id as usize].next;
            event.state = State::InTurn;
            self.queues[usize::from(event.priority)].push(&mut self.links, id);
            promoted(id, slots.get(id));
        }
    }

    /// Checks the module's invariants for the events with these ids.
    #[cfg(test)]
    pub(crate) fn check_invariants<P>(&self, slots: &Slots<P>, ids: std::ops::Range<u32>) {
        let mut seen = 0;
        let in_turn = (0..=u8::MAX).zip(&self.queues);
        let in_turn = in_turn.map(|(priority, queue)| (Some(priority), queue));
        for (priority, queue) in in_turn.chain(std::iter::once((None, &self.later))) {
            let may_hold = priority.is_none_or(|priority| priority < self.priorities);
            assert!(may_hold || queue.iter(&self.links).next().is_none(), "5: {priority:?}");
            let mut prev = None;
            for id in queue.iter(&self.links) {
                let event = slots.get(id).activation;
                match priority {
                    Some(priority) => {
                        assert!(event.state == State::InTurn, "1: an event says where it is");
                        assert_eq!(event.priority, priority, "1: it is in the queue of its priority");
                    }
                    None => assert!(event.state == State::Later, "1: an event says where it is"),
                }
                if let Some(prev) = prev.replace(id) {
                    assert_eq!(self.links[id as usize].prev, prev, "2: links go both ways");
                }
                seen += 1;
            }
            if let Some(last) = prev {
                assert_eq!(queue.tail, last, "2: the tail is the last event");
            }
        }
        assert_eq!(seen, self.len, "3: len counts all queues");
        let named = ids.filter(|&id| slots.get(id).activation.causes().is_some());
        assert_eq!(named.count(), self.len, "1: an event that names a queue is in it");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use ev_backend::{Interest, Mode};
    use proptest::prelude::*;

    use super::super::slots::Flags;
    use super::*;

    const PRIORITIES: u8 = 3;
    const EVENTS: u32 = 10;

    fn some() -> (ActiveQueues, Slots<()>) {
        let mut active = ActiveQueues::new(PRIORITIES);
        let mut slots = Slots::new();
        for _ in 0..EVENTS {
            let index = slots.reserve().unwrap();
            active.try_reserve(index).unwrap();
            slots.occupy(index, 0, Flags::empty(), Interest::empty(), Mode::Level);
        }
        (active, slots)
    }

    fn drain(active: &mut ActiveQueues, slots: &mut Slots<()>) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (id, _, _) = active.pop(slots, active.most_urgent()?)?;
            Some(id)
        })
        .collect()
    }

    #[test]
    fn urgent_first_then_in_order_of_activation() {
        let (mut active, mut slots) = some();
        for (id, priority) in [(1, 2), (2, 0), (3, 2), (4, 0), (5, 1)] {
            slots.get_mut(id).activation.set_priority(priority);
            assert_eq!(active.push(&mut slots, id, Causes::READ), Pushed::Queued);
        }
        assert_eq!(active.push(&mut slots, 1, Causes::WRITE), Pushed::Merged);
        assert_eq!(slots.get_mut(1).activation.causes(), Some(Causes::READ | Causes::WRITE));
        active.check_invariants(&slots, 0..EVENTS);
        assert_eq!(drain(&mut active, &mut slots), [2, 4, 5, 1, 3]);
    }

    #[test]
    fn later_waits_for_promotion() {
        let (mut active, mut slots) = some();
        active.push_later(&mut slots, 1, Causes::READ);
        active.push_later(&mut slots, 2, Causes::READ);
        active.push_later(&mut slots, 3, Causes::READ);
        assert_eq!((active.most_urgent(), active.len()), (None, 3));
        assert_eq!(
            active.push(&mut slots, 2, Causes::WRITE),
            Pushed::Queued,
            "activated now: promoted"
        );
        assert_eq!(active.iter().collect::<Vec<_>>(), [2, 1, 3]);
        let mut promoted = vec![];
        active.promote_later(&mut slots, |id, _| promoted.push(id));
        assert_eq!(promoted, [1, 3]);
        active.check_invariants(&slots, 0..EVENTS);
        assert_eq!(drain(&mut active, &mut slots), [2, 1, 3]);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Push(u32, u8),
        Later(u32),
        Remove(u32),
        Promote,
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            (0..8u32, 0..PRIORITIES).prop_map(|(id, priority)| Op::Push(id, priority)),
            (0..8u32).prop_map(Op::Later),
            (0..8u32).prop_map(Op::Remove),
            Just(Op::Promote),
        ];
        proptest::collection::vec(op, 0..60)
    }

    proptest! {
        #[test]
        fn behaves_as_plain_queues(ops in ops()) {
            let (mut active, mut slots) = some();
            let mut model: Vec<VecDeque<u32>> = vec![VecDeque::new(); 4];
            for op in ops {
                let holds = |queue: &VecDeque<u32>, id| queue.contains(&id);
                match op {
                    Op::Push(id, priority) => {
                        let in_turn = model[..3].iter().any(|queue| holds(queue, id));
                        if !in_turn {
                            model[3].retain(|&other| other != id);
                            model[usize::from(priority)].push_back(id);
                            slots.get_mut(id).activation.set_priority(priority);
                        }
                        let pushed = active.push(&mut slots, id, Causes::READ);
                        prop_assert_eq!(pushed == Pushed::Merged, in_turn);
                    }
                    Op::Later(id) => {
                        if !model.iter().any(|queue| holds(queue, id)) {
                            model[3].push_back(id);
                        }
                        active.push_later(&mut slots, id, Causes::READ);
                    }
                    Op::Remove(id) => {
                        let held = model.iter().any(|queue| holds(queue, id));
                        for queue in &mut model {
                            queue.retain(|&other| other != id);
                        }
                        prop_assert_eq!(active.remove(&mut slots, id).is_some(), held);
                    }
                    Op::Promote => {
                        let mut promoted = vec![];
                        active.promote_later(&mut slots, |id, _| promoted.push(id));
                        prop_assert_eq!(std::mem::take(&mut model[3]), promoted.clone());
                        for id in promoted {
                            model[usize::from(slots.get_mut(id).activation.priority())].push_back(id);
                        }
                    }
                }
                active.check_invariants(&slots, 0..EVENTS);
                prop_assert_eq!(active.len(), model.iter().map(VecDeque::len).sum::<usize>());
            }
            let expected: Vec<u32> = model[..3].iter().flatten().copied().collect();
            prop_assert_eq!(drain(&mut active, &mut slots), expected);
        }
    }

    #[test]
    fn an_internal_event_inherits_no_causes() {
        let (mut active, mut slots) = some();
        active.push(&mut slots, 1, Causes::READ);
        assert_eq!(drain(&mut active, &mut slots), [1]);
        slots.get_mut(1).activation.set_internal();
        assert!(!slots.get_mut(1).activation.take_internal());
    }

    #[test]
    fn internal_events_are_not_queued() {
        let (mut active, mut slots) = some();
        slots.get_mut(1).activation.set_internal();
        assert_eq!(active.push(&mut slots, 1, Causes::READ), Pushed::Merged);
        assert_eq!(
            (active.len(), active.most_urgent(), slots.get_mut(1).activation.causes()),
            (0, None, None)
        );
        assert!(active.has_internal());
        assert!(active.begin_internal() && slots.get_mut(1).activation.take_internal());
        assert!(!active.has_internal() && !active.begin_internal() && !slots.get_mut(1).activation.take_internal());
    }
}
