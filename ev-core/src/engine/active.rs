//! The events whose callbacks are due: a queue a priority, and one for the next turn.
//!
//! ```text
//! queues[0]  head ⇄ … ⇄ tail      most urgent, first in first out
//! queues[n]  …
//! later      …                    moved to their queues when the next turn begins
//! ```
//!
//! Invariants:
//! 1. An event is in at most one queue, named by its node's `queue` (`NONE` if it is in none).
//! 2. A queue's nodes are linked both ways, in the order of activation.
//! 3. `len` is the number of events in all queues, `later` included.

use super::Causes;

const NIL: u32 = u32::MAX;
const NONE: u16 = u16::MAX;
const LATER: u16 = 256;

#[derive(Clone, Copy)]
struct Node {
    prev: u32,
    next: u32,
    queue: u16,
    causes: Causes,
}

const DETACHED: Node = Node {
    prev: NIL,
    next: NIL,
    queue: NONE,
    causes: Causes::empty(),
};

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
}

/// What became of an activation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pushed {
    /// The event is now at the end of its queue.
    Queued,
    /// It was active already; the causes were added to.
    Merged,
}

impl ActiveQueues {
    pub(crate) fn new(priorities: u8) -> Self {
        Self {
            queues: vec![EMPTY; usize::from(priorities)],
            later: EMPTY,
            nodes: Vec::new(),
            len: 0,
        }
    }

    pub(crate) fn priorities(&self) -> u8 {
        self.queues.len() as u8
    }

    /// Changes the number of priorities while nothing is active but internal events, which are of the most urgent one.
    pub(crate) fn set_priorities(&mut self, priorities: u8) {
        self.queues.resize(usize::from(priorities), EMPTY);
    }

    /// Makes sure that activating `id` needs no memory.
    pub(crate) fn try_reserve(&mut self, id: u32) -> Result<(), std::collections::TryReserveError> {
        let needed = id as usize + 1;
        if needed > self.nodes.len() {
            self.nodes.try_reserve(needed - self.nodes.len())?;
            self.nodes.resize(needed, DETACHED);
        }
        Ok(())
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The causes of an active event, `None` for one that is not.
    #[inline]
    pub(crate) fn causes(&self, id: u32) -> Option<Causes> {
        let node = self.nodes[id as usize];
        (node.queue != NONE).then_some(node.causes)
    }

    /// Whether an event is on the queue of its priority: active, and not only from the next turn on.
    pub(crate) fn is_in_turn(&self, id: u32) -> bool {
        !matches!(self.nodes[id as usize].queue, NONE | LATER)
    }

    /// Puts an event at the end of its priority's queue. One that waits for the next turn is promoted.
    #[inline]
    pub(crate) fn push(&mut self, id: u32, priority: u8, causes: Causes) -> Pushed {
        let node = &mut self.nodes[id as usize];
        if node.queue == NONE {
            node.causes = causes;
            self.link(id, u16::from(priority));
            return Pushed::Queued;
        }
        node.causes |= causes;
        if node.queue != LATER {
            return Pushed::Merged;
        }
        self.unlink(id);
        self.link(id, u16::from(priority));
        Pushed::Queued
    }

    /// Puts an event on the queue of the next turn; only adds the causes if it is active in any way.
    pub(crate) fn push_later(&mut self, id: u32, causes: Causes) -> Pushed {
        let node = &mut self.nodes[id as usize];
        if node.queue != NONE {
            node.causes |= causes;
            return Pushed::Merged;
        }
        node.causes = causes;
        self.link(id, LATER);
        Pushed::Queued
    }

    /// Takes an event out, wherever it is. `None` if it was not active.
    #[inline]
    pub(crate) fn remove(&mut self, id: u32) -> Option<Causes> {
        let causes = self.causes(id)?;
        self.unlink(id);
        Some(causes)
    }

    /// Takes causes away from an event, which stays active even if none is left.
    pub(crate) fn take_back(&mut self, id: u32, causes: Causes) {
        self.nodes[id as usize].causes -= causes;
    }

    /// The first event of a priority.
    #[inline]
    pub(crate) fn first(&self, priority: u8) -> Option<u32> {
        let head = self.queues[usize::from(priority)].head;
        (head != NIL).then_some(head)
    }

    /// The active events, the most urgent first and in the order of activation; those of the next turn come last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let queues = self.queues.iter().chain(std::iter::once(&self.later));
        let linked = |id: u32| (id != NIL).then_some(id);
        queues.flat_map(move |queue| {
            std::iter::successors(linked(queue.head), move |&id| linked(self.nodes[id as usize].next))
        })
    }

    /// The most urgent priority that has an active event.
    #[inline]
    pub(crate) fn most_urgent(&self) -> Option<u8> {
        self.queues
            .iter()
            .position(|queue| queue.head != NIL)
            .map(|priority| priority as u8)
    }

    /// Moves the events of the next turn to the queues of their priorities, in order.
    pub(crate) fn promote_later(&mut self, mut priority_of: impl FnMut(u32) -> u8) {
        while self.later.head != NIL {
            let id = self.later.head;
            self.unlink(id);
            self.link(id, u16::from(priority_of(id)));
        }
    }

    #[inline]
    fn queue_mut(&mut self, queue: u16) -> &mut Queue {
        if queue == LATER {
            &mut self.later
        } else {
            &mut self.queues[usize::from(queue)]
        }
    }

    #[inline]
    fn link(&mut self, id: u32, queue: u16) {
        let ends = self.queue_mut(queue);
        let tail = std::mem::replace(&mut ends.tail, id);
        if tail == NIL {
            ends.head = id;
        } else {
            self.nodes[tail as usize].next = id;
        }
        let node = &mut self.nodes[id as usize];
        node.prev = tail;
        node.next = NIL;
        node.queue = queue;
        self.len += 1;
    }

    #[inline]
    fn unlink(&mut self, id: u32) {
        let node = &mut self.nodes[id as usize];
        let Node { prev, next, queue, .. } = *node;
        node.queue = NONE;
        if prev == NIL {
            self.queue_mut(queue).head = next;
        } else {
            self.nodes[prev as usize].next = next;
        }
        if next == NIL {
            self.queue_mut(queue).tail = prev;
        } else {
            self.nodes[next as usize].prev = prev;
        }
        self.len -= 1;
    }

    /// Checks the module's invariants.
    #[cfg(test)]
    pub(crate) fn check_invariants(&self) {
        let mut seen = 0;
        let numbered = (0..).zip(&self.queues).chain(std::iter::once((LATER, &self.later)));
        for (number, queue) in numbered {
            let (mut id, mut prev) = (queue.head, NIL);
            while id != NIL {
                let node = self.nodes[id as usize];
                assert_eq!(node.queue, number, "1: a linked node names its queue");
                assert_eq!(node.prev, prev, "2: links go both ways");
                (prev, id, seen) = (id, node.next, seen + 1);
            }
            assert_eq!(queue.tail, prev, "2: the tail is the last node");
        }
        assert_eq!(seen, self.len, "3: len counts all queues");
        let named = self.nodes.iter().filter(|node| node.queue != NONE).count();
        assert_eq!(named, self.len, "1: a node that names a queue is in it");
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
            let id = active.first(active.most_urgent()?)?;
            active.remove(id);
            Some(id)
        })
        .collect()
    }

    #[test]
    fn urgent_first_then_in_order_of_activation() {
        let mut active = ActiveQueues::new(PRIORITIES);
        active.try_reserve(9).unwrap();
        for (id, priority) in [(1, 2), (2, 0), (3, 2), (4, 0), (5, 1)] {
            assert_eq!(active.push(id, priority, Causes::READ), Pushed::Queued);
        }
        assert_eq!(active.push(1, 2, Causes::WRITE), Pushed::Merged);
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
        assert_eq!(
            active.push(2, 0, Causes::WRITE),
            Pushed::Queued,
            "activated now: promoted"
        );
        assert_eq!(active.iter().collect::<Vec<_>>(), [2, 1, 3]);
        active.promote_later(|_| 0);
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
                   match op {
                       Op::Push(id, priority) => {
                           if model[3].contains(&id) {
                               model[3].retain(|&other| other != id);
                           }
                           if !model.iter().any(|queue| queue.contains(&id)) {
                               model[usize::from(priority)].push_back(id);
                           }
                           active.push(id, priority, Causes::READ);
                       }
                       Op::Later(id) => {
                           if !model.iter().any(|queue| queue.contains(&id)) {
                               model[3].push_back(id);
                           }
                           active.push_later(id, Causes::READ);
                       }
                       Op::Remove(id) => {
                           let held = model.iter().any(|queue| queue.contains(&id));
                           for queue in &mut model {
    queue.retain(|&other| other != id);
    }
                           prop_assert_eq!(active.remove(id).is_some(), held);
                       }
                       Op::Promote => {
                           let later = std::mem::take(&mut model[3]);
                           model[1].extend(later);
                           active.promote_later(|_| 1);
                       }
                   }
                   active.check_invariants();
                   prop_assert_eq!(active.len(), model.iter().map(VecDeque::len).sum::<usize>());
               }
               let expected: Vec<u32> = model[..3].iter().flatten().copied().collect();
               prop_assert_eq!(drain(&mut active), expected);
           }
       }
}
