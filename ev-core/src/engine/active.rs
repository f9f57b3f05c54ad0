//! The events whose callbacks are due: a queue a priority, and one for the next turn.
//!
//! ```text
//! queues[0]  head ⇄ … ⇄ tail      most urgent, first in first out
//! queues[n]  …
//! later      …                    moved to their queues when the next turn begins
//! ```
//!
//! Invariants:
//! 1. An event is in at most one queue, as its node's `state` says: in that of its priority, or in `later`.
//! 2. A queue's nodes are linked both ways, in the order of activation. The `next` of a tail is
//!    `NIL`; the `prev` of a head and the `tail` of an empty queue mean nothing.
//! 3. `len` is the number of events in all queues, `later` included.
//! 4. An internal event is in no queue. If it has causes, `internal` is set.

use super::Causes;

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

#[derive(Clone, Copy)]
struct Node {
    prev: u32,
    next: u32,
    causes: Causes,
    state: State,
    priority: u8,
}

#[derive(Clone, Copy)]
struct Queue {
    head: u32,
    tail: u32,
}

const EMPTY: Queue = Queue { head: NIL, tail: NIL };

pub(crate) struct ActiveQueues {
    queues: Vec<Queue>,
    later: Queue,
    nodes: Vec<Node>,
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
    fn push(&mut self, nodes: &mut [Node], id: u32) {
        if self.head == NIL {
            self.head = id;
        } else {
            nodes[self.tail as usize].next = id;
            nodes[id as usize].prev = self.tail;
        }
        nodes[id as usize].next = NIL;
        self.tail = id;
    }

    fn unlink(&mut self, nodes: &mut [Node], id: u32) {
        let Node { prev, next, .. } = nodes[id as usize];
        let is_last = self.tail == id;
        if self.head == id {
            self.head = next;
        } else {
            nodes[prev as usize].next = next;
        }
        if is_last {
            self.tail = prev;
        } else {
            nodes[next as usize].prev = prev;
        }
    }

    fn iter(self, nodes: &[Node]) -> impl Iterator<Item = u32> + '_ {
        let linked = |id: u32| (id != NIL).then_some(id);
        std::iter::successors(linked(self.head), move |&id| linked(nodes[id as usize].next))
    }
}

impl ActiveQueues {
    pub(crate) fn new(priorities: u8) -> Self {
        Self {
            queues: vec![EMPTY; usize::from(priorities)],
            later: EMPTY,
            nodes: Vec::new(),
            len: 0,
            internal: false,
        }
    }

    pub(crate) fn priorities(&self) -> u8 {
        self.queues.len() as u8
    }

    /// Changes the number of priorities while nothing is active.
    pub(crate) fn set_priorities(&mut self, priorities: u8) {
        debug_assert_eq!(self.len, 0, "no queue that is taken away holds an event");
        self.queues.resize(usize::from(priorities), EMPTY);
    }

    /// Makes sure that activating `id` needs no memory.
    #[inline]
    pub(crate) fn try_reserve(&mut self, id: u32) -> Result<(), std::collections::TryReserveError> {
        if (id as usize) < self.nodes.len() {
            return Ok(());
        }
        self.try_grow(id)
    }

    #[cold]
    fn try_grow(&mut self, id: u32) -> Result<(), std::collections::TryReserveError> {
        const DETACHED: Node = Node {
            prev: NIL,
            next: NIL,
            causes: Causes::empty(),
            state: State::Idle,
            priority: 0,
        };
        let needed = id as usize + 1;
        self.nodes.try_reserve(needed - self.nodes.len())?;
        self.nodes.resize(needed, DETACHED);
        Ok(())
    }

    /// Declares an event to be one of the library's own.
    pub(crate) fn set_internal(&mut self, id: u32) {
        let node = &mut self.nodes[id as usize];
        node.state = State::Internal;
        // Those of the event that had the index before.
        node.causes = Causes::empty();
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

    #[inline]
    pub(crate) fn priority(&self, id: u32) -> u8 {
        self.nodes[id as usize].priority
    }

    /// Sets the priority of an event that is not in this turn's queues.
    pub(crate) fn set_priority(&mut self, id: u32, priority: u8) {
        debug_assert!(!self.is_in_turn(id), "its queue is that of its priority");
        self.nodes[id as usize].priority = priority;
    }

    /// The causes of an active event, `None` for one that is not.
    #[inline]
    pub(crate) fn causes(&self, id: u32) -> Option<Causes> {
        let node = &self.nodes[id as usize];
        matches!(node.state, State::InTurn | State::Later).then_some(node.causes)
    }

    /// Whether an event is on the queue of its priority: active, and not only from the next turn on.
    pub(crate) fn is_in_turn(&self, id: u32) -> bool {
        self.nodes[id as usize].state == State::InTurn
    }

    /// Whether any event of that priority is active.
    #[inline]
    pub(crate) fn has(&self, priority: u8) -> bool {
        self.queues[usize::from(priority)].head != NIL
    }

    /// Puts an event at the end of its priority's queue. One that waits for the next turn is promoted.
    #[inline]
    pub(crate) fn push(&mut self, id: u32, causes: Causes) -> Pushed {
        let node = &mut self.nodes[id as usize];
        if node.state != State::Idle {
            return self.push_again(id, causes);
        }
        node.state = State::InTurn;
        node.causes = causes;
        self.queues[usize::from(node.priority)].push(&mut self.nodes, id);
        self.len += 1;
        Pushed::Queued
    }

    #[cold]
    fn push_again(&mut self, id: u32, causes: Causes) -> Pushed {
        let node = &mut self.nodes[id as usize];
        node.causes |= causes;
        match node.state {
            State::Later => {
                node.state = State::InTurn;
                let queue = &mut self.queues[usize::from(node.priority)];
                self.later.unlink(&mut self.nodes, id);
                queue.push(&mut self.nodes, id);
                return Pushed::Queued;
            }
            State::Internal => self.internal = true,
            State::Idle | State::InTurn => {}
        }
        Pushed::Merged
    }

    /// Puts an event on the queue of the next turn; only adds the causes if it is active in any way.
    pub(crate) fn push_later(&mut self, id: u32, causes: Causes) -> Pushed {
        let node = &mut self.nodes[id as usize];
        if node.state != State::Idle {
            node.causes |= causes;
            return Pushed::Merged;
        }
        node.state = State::Later;
        node.causes = causes;
        self.later.push(&mut self.nodes, id);
        self.len += 1;
        Pushed::Queued
    }

    /// Takes an event out, wherever it is. `None` if it was not active.
    #[inline]
    pub(crate) fn remove(&mut self, id: u32) -> Option<Causes> {
        let causes = self.causes(id)?;
        let node = &mut self.nodes[id as usize];
        let queue = match node.state {
            State::Later => &mut self.later,
            _ => &mut self.queues[usize::from(node.priority)],
        };
        node.state = State::Idle;
        queue.unlink(&mut self.nodes, id);
        self.len -= 1;
        Some(causes)
    }

    /// Takes causes away from an event, which stays active even if none is left.
    pub(crate) fn take_back(&mut self, id: u32, causes: Causes) {
        self.nodes[id as usize].causes -= causes;
    }

    /// Takes the first event of a priority out.
    #[inline]
    pub(crate) fn pop(&mut self, priority: u8) -> Option<(u32, Causes)> {
        let queue = self.queues.get_mut(usize::from(priority))?;
        let id = queue.head;
        // There is no node `NIL`.
        let node = self.nodes.get_mut(id as usize)?;
        node.state = State::Idle;
        queue.head = node.next;
        self.len -= 1;
        Some((id, node.causes))
    }

    /// Whether any internal event was active. Which ones is then told by [`take_internal`](Self::take_internal).
    #[inline]
    pub(crate) fn begin_internal(&mut self) -> bool {
        std::mem::take(&mut self.internal)
    }

    /// Whether that internal event was active, which it is not any more.
    pub(crate) fn take_internal(&mut self, id: u32) -> bool {
        !std::mem::take(&mut self.nodes[id as usize].causes).is_empty()
    }

    /// The active events, the most urgent first and in the order of activation; those of the next turn come last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let queues = self.queues.iter().chain(std::iter::once(&self.later));
        queues.flat_map(|queue| queue.iter(&self.nodes))
    }

    /// The most urgent priority that has an active event.
    #[inline]
    pub(crate) fn most_urgent(&self) -> Option<u8> {
        self.queues
            .iter()
            .position(|queue| queue.head != NIL)
            .map(|priority| priority as u8)
    }

    /// Moves the events of the next turn to the queues of their priorities, in order, and tells of each.
    #[inline]
    pub(crate) fn promote_later(&mut self, mut promoted: impl FnMut(u32)) {
        while let Some(node) = self.nodes.get_mut(self.later.head as usize) {
            let id = std::mem::replace(&mut self.later.head, node.next);
            node.state = State::InTurn;
            self.queues[usize::from(node.priority)].push(&mut self.nodes, id);
            promoted(id);
        }
    }

    /// Checks the module's invariants.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        let mut seen = 0;
        let in_turn = (0..).zip(&self.queues).map(|(priority, queue)| (Some(priority), queue));
        for (priority, queue) in in_turn.chain(std::iter::once((None, &self.later))) {
            let mut prev = None;
            for id in queue.iter(&self.nodes) {
                let node = self.nodes[id as usize];
                match priority {
                    Some(priority) => {
                        assert!(node.state == State::InTurn, "1: a node says where it is");
                        assert_eq!(node.priority, priority, "1: it is in the queue of its priority");
                    }
                    None => assert!(node.state == State::Later, "1: a node says where it is"),
                }
                if let Some(prev) = prev.replace(id) {
                    assert_eq!(node.prev, prev, "2: links go both ways");
                }
                seen += 1;
            }
            if let Some(last) = prev {
                assert_eq!(queue.tail, last, "2: the tail is the last node");
            }
        }
        assert_eq!(seen, self.len, "3: len counts all queues");
        let nodes = self.nodes.iter();
        let named = nodes.filter(|node| matches!(node.state, State::InTurn | State::Later));
        assert_eq!(named.count(), self.len, "1: a node that names a queue is in it");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const PRIORITIES: u8 = 3;

    fn drain(active: &mut ActiveQueues) -> Vec<u32> {
        std::iter::from_fn(|| {
            let (id, _) = active.pop(active.most_urgent()?)?;
            Some(id)
        })
        .collect()
    }

    #[test]
    fn urgent_first_then_in_order_of_activation() {
        let mut active = ActiveQueues::new(PRIORITIES);
        active.try_reserve(9).unwrap();
        for (id, priority) in [(1, 2), (2, 0), (3, 2), (4, 0), (5, 1)] {
            active.set_priority(id, priority);
            assert_eq!(active.push(id, Causes::READ), Pushed::Queued);
        }
        assert_eq!(active.push(1, Causes::WRITE), Pushed::Merged);
        assert_eq!(active.causes(1), Some(Causes::READ | Causes::WRITE));
        active.check_invariants();
        assert_eq!(drain(&mut active), [2, 4, 5, 1, 3]);
    }

    #[test]
    fn later_waits_for_promotion() {
        let mut active = ActiveQueues::new(PRIORITIES);
        active.try_reserve(9).unwrap();
        active.push_later(1, Causes::READ);
        active.push_later(2, Causes::READ);
        active.push_later(3, Causes::READ);
        assert_eq!((active.most_urgent(), active.len()), (None, 3));
        assert_eq!(active.push(2, Causes::WRITE), Pushed::Queued, "activated now: promoted");
        assert_eq!(active.iter().collect::<Vec<_>>(), [2, 1, 3]);
        let mut promoted = vec![];
        active.promote_later(|id| promoted.push(id));
        assert_eq!(promoted, [1, 3]);
        active.check_invariants();
        assert_eq!(drain(&mut active), [2, 1, 3]);
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
            let mut active = ActiveQueues::new(PRIORITIES);
            active.try_reserve(8).unwrap();
            let mut model: Vec<VecDeque<u32>> = vec![VecDeque::new(); 4];
            for op in ops {
                let holds = |queue: &VecDeque<u32>, id| queue.contains(&id);
                match op {
                    Op::Push(id, priority) => {
                        let in_turn = model[..3].iter().any(|queue| holds(queue, id));
                        if !in_turn {
                            model[3].retain(|&other| other != id);
                            model[usize::from(priority)].push_back(id);
                            active.set_priority(id, priority);
                        }
                        let pushed = active.push(id, Causes::READ);
                        prop_assert_eq!(pushed == Pushed::Merged, in_turn);
                    }
                    Op::Later(id) => {
                        if !model.iter().any(|queue| holds(queue, id)) {
                            model[3].push_back(id);
                        }
                        active.push_later(id, Causes::READ);
                    }
                    Op::Remove(id) => {
                        let held = model.iter().any(|queue| holds(queue, id));
                        for queue in &mut model {
                            queue.retain(|&other| other != id);
                        }
                        prop_assert_eq!(active.remove(id).is_some(), held);
                    }
                    Op::Promote => {
                        let mut promoted = vec![];
                        active.promote_later(|id| promoted.push(id));
                        prop_assert_eq!(std::mem::take(&mut model[3]), promoted.clone());
                        for id in promoted {
                            model[usize::from(active.priority(id))].push_back(id);
                        }
                    }
                }
                active.check_invariants();
                prop_assert_eq!(active.len(), model.iter().map(VecDeque::len).sum::<usize>());
            }
            let expected: Vec<u32> = model[..3].iter().flatten().copied().collect();
            prop_assert_eq!(drain(&mut active), expected);
        }
    }

    #[test]
    fn an_internal_event_inherits_no_causes() {
        let mut active = ActiveQueues::new(PRIORITIES);
        active.try_reserve(1).unwrap();
        active.push(1, Causes::READ);
        assert_eq!(drain(&mut active), [1]);
        active.set_internal(1);
        assert!(!active.take_internal(1));
    }

    #[test]
    fn internal_events_are_not_queued() {
        let mut active = ActiveQueues::new(PRIORITIES);
        active.try_reserve(1).unwrap();
        active.set_internal(1);
        assert_eq!(active.push(1, Causes::READ), Pushed::Merged);
        assert_eq!((active.len(), active.most_urgent(), active.causes(1)), (0, None, None));
        assert!(active.has_internal());
        assert!(active.begin_internal() && active.take_internal(1));
        assert!(!active.has_internal() && !active.begin_internal() && !active.take_internal(1));
    }
}
