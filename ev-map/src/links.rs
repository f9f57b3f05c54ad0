//! Lists of ids, linked by index.
//!
//! Any number of lists share one vector of nodes, indexed by id; an id is on at most one list. Who owns a list keeps
//! its [`Head`]; what is known of a member (its descriptor, its interest) lies in its node, so that a walk touches one
//! piece of memory a member. Insertion at the front and removal from anywhere take constant time.
//!
//! ```text
//!  Head(4) ───────────────────────────┐
//!                                     ▼
//!  nodes     0        1        2        3        4        5
//!         ┌────────┬────────┬────────┬────────┬────────┬────────┐
//!  prev   │   4    │        │   0    │        │  NIL   │        │
//!  next   │   2    │        │  NIL   │        │   0    │        │        the list 4, 0, 2
//!  item   │ Some   │  None  │ Some   │  None  │ Some   │  None  │
//!         └────────┴────────┴────────┴────────┴────────┴────────┘
//! ```
//!
//! # Invariants
//!
//! 1. A node has an item exactly if it is on a list.
//! 2. Along a list each member's `prev` is the member before it, `NIL` for the first; the last one's `next` is `NIL`.
//! 3. `len` is the number of members of all lists.
//! 4. A head says `MANY` exactly if its list has more than one member.

use std::ops::ControlFlow;

use crate::MapError;

/// No id. It is beyond the end of every vector of nodes, so `get(NIL)` is `None` and ends a walk.
const NIL: u32 = u32::MAX;

/// Where a list begins, and whether it has only one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The first member, `NIL` if there is none; with `MANY` added where it is not the only one.
    first: u32,
}

/// Above all ids.
const MANY: u32 = 1 << 31;

/// Ids are below that: the one that it leaves out would look like `NIL` with `MANY` added.
const MAX_IDS: u32 = MANY - 1;

impl Head {
    /// The head of an empty list.
    pub(crate) const EMPTY: Self = Self { first: NIL };

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// The first member, `NIL` if there is none.
    #[inline]
    fn first(self) -> u32 {
        if self.is_empty() { NIL } else { self.first & !MANY }
    }

    /// Whether `id` is the only member.
    #[inline]
    pub(crate) fn is_only(self, id: u32) -> bool {
        // What is not below `MANY` may look like an empty list, or like one of several members.
        self.first == id && id < MANY
    }

    /// The only member, if there is exactly one.
    #[inline]
    pub(crate) fn only(self) -> Option<u32> {
        (self.first & MANY == 0).then_some(self.first)
    }
}

#[derive(Debug)]
struct Node<T> {
    prev: u32,
    next: u32,
    item: Option<T>,
}

impl<T> Node<T> {
    const VACANT: Self = Self {
        prev: NIL,
        next: NIL,
        item: None,
    };
}

/// The nodes of all lists.
#[derive(Debug)]
pub(crate) struct Links<T> {
    nodes: Vec<Node<T>>,
    len: usize,
}

impl<T> Links<T> {
    /// The size of a node, for the assertions of those who count bytes.
    pub(crate) const NODE_SIZE: usize = size_of::<Node<T>>();

    pub(crate) const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            len: 0,
        }
    }

    /// The number of members of all lists.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// What is known of `id`, if it is on a list.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.nodes.get(id as usize)?.item.as_ref()
    }

    /// What is known of the first member of a list.
    #[inline]
    pub(crate) fn front(&self, head: Head) -> Option<&T> {
        self.get(head.first())
    }

    /// Puts `id` in front of the list that begins at `head`. On failure nothing has changed.
    pub(crate) fn push_front(&mut self, head: &mut Head, id: u32, item: T) -> Result<(), MapError> {
        if self.get(id).is_some() {
            return Err(MapError::AlreadyOn(id));
        }
        self.reserve(id)?;
        let next = head.first();
        if let Some(second) = self.nodes.get_mut(next as usize) {
            second.prev = id;
        }
        self.nodes[id as usize] = Node {
            prev: NIL,
            next,
            item: Some(item),
        };
        *head = self.head_at(id);
        self.len += 1;
        Ok(())
    }

    /// Changes what is known of `id`, if it is on a list.
    #[inline]
    pub(crate) fn replace(&mut self, id: u32, item: T) {
        if let Some(known) = self.nodes.get_mut(id as usize).and_then(|node| node.item.as_mut()) {
            *known = item;
        }
    }

    /// Takes `id` off its list, which begins at `head`. `None` if it is on no list.
    pub(crate) fn unlink(&mut self, head: &mut Head, id: u32) -> Option<T> {
        let node = self.nodes.get_mut(id as usize)?;
        let item = node.item.take()?;
        let (prev, next) = (node.prev, node.next);
        let first = match self.nodes.get_mut(prev as usize) {
            Some(before) => {
                before.next = next;
                head.first()
            }
            None => next,
        };
        if let Some(after) = self.nodes.get_mut(next as usize) {
            after.prev = prev;
        }
        *head = self.head_at(first);
        self.len -= 1;
        Some(item)
    }

    /// The members of the list that begins at `head`, front to back.
    #[inline]
    pub(crate) fn iter(&self, head: Head) -> Iter<'_, T> {
        Iter {
            nodes: &self.nodes,
            at: head.first(),
        }
    }

    /// Lends the members' items, front to back, until `each` breaks off.
    pub(crate) fn visit_mut(&mut self, head: Head, mut each: impl FnMut(&mut T) -> ControlFlow<()>) {
        let mut at = head.first();
        while let Some(node) = self.nodes.get_mut(at as usize) {
            at = node.next;
            if node.item.as_mut().is_none_or(|item| each(item).is_break()) {
                break;
            }
        }
    }

    fn head_at(&self, first: u32) -> Head {
        match self.nodes.get(first as usize) {
            None => Head::EMPTY,
            Some(node) if node.next == NIL => Head { first },
            Some(_) => Head { first: first | MANY },
        }
    }

    /// Asserts the invariants, given the heads of all lists.
    pub(crate) fn check_invariants(&self, heads: impl Iterator<Item = Head>) {
        let mut members = 0;
        for head in heads {
            assert_eq!(head, self.head_at(head.first()), "links 4: whether there is only one");
            let (mut before, mut at) = (NIL, head.first());
            while at != NIL {
                let node = &self.nodes[at as usize];
                assert!(node.item.is_some(), "links 1: {at} is on a list without an item");
                assert_eq!(node.prev, before, "links 2: who comes before {at}");
                members += 1;
                assert!(members <= self.len, "links 3: more members than counted, or a circle");
                (before, at) = (at, node.next);
            }
        }
        assert_eq!(members, self.len, "links 3: the number of members");
        let occupied = self.nodes.iter().filter(|node| node.item.is_some()).count();
        assert_eq!(occupied, members, "links 1: items of nodes on no list");
    }

    /// Makes a node for `id`. Ids are dense, so a vector without gaps is no waste.
    fn reserve(&mut self, id: u32) -> Result<(), MapError> {
        if id >= MAX_IDS {
            return Err(MapError::BadId(id));
        }
        let needed = id as usize + 1;
        if needed > self.nodes.capacity() {
            // By half, not to twice the length: that leaves a third of the memory unused at most.
            let more = needed - self.nodes.len();
            let usual = 4 + self.nodes.len() / 2;
            self.nodes
                .try_reserve_exact(more.max(usual))
                .or_else(|_| self.nodes.try_reserve_exact(more))
                .map_err(|_| MapError::OutOfMemory)?;
        }
        if needed > self.nodes.len() {
            self.nodes.resize_with(needed, || Node::VACANT);
        }
        Ok(())
    }
}

/// A walk along one list: each member's id and what is known of it.
#[derive(Debug)]
pub(crate) struct Iter<'a, T> {
    nodes: &'a [Node<T>],
    at: u32,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (u32, &'a T);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let id = self.at;
        let node = self.nodes.get(id as usize)?;
        self.at = node.next;
        node.item.as_ref().map(|item| (id, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(links: &Links<char>, head: Head) -> Vec<u32> {
        links.iter(head).map(|(id, _)| id).collect()
    }

    /// The lists `[3, 0, 5]` and `[1]`.
    fn two_lists() -> (Links<char>, Head, Head) {
        let mut links = Links::new();
        let (mut long, mut short) = (Head::EMPTY, Head::EMPTY);
        for (id, item) in [(5, 'f'), (0, 'a'), (3, 'd')] {
            links.push_front(&mut long, id, item).unwrap();
        }
        links.push_front(&mut short, 1, 'b').unwrap();
        links.check_invariants([long, short].into_iter());
        (links, long, short)
    }

    #[test]
    fn newest_comes_first() {
        let (links, long, short) = two_lists();
        assert_eq!(ids(&links, long), [3, 0, 5]);
        assert_eq!(ids(&links, short), [1]);
        assert_eq!(ids(&links, Head::EMPTY), []);
        assert_eq!(links.len(), 4);
        assert_eq!(links.get(0), Some(&'a'));
        assert_eq!(links.front(long), Some(&'d'));
        assert_eq!(links.front(Head::EMPTY), None);
        assert_eq!(links.get(2), None);
        assert_eq!(links.get(6), None);
    }

    #[test]
    fn unlinks_first_middle_last_and_only() {
        for (id, rest) in [(3, [0, 5]), (0, [3, 5]), (5, [3, 0])] {
            let (mut links, mut long, mut short) = two_lists();
            assert!(links.unlink(&mut long, id).is_some());
            assert_eq!(ids(&links, long), rest);
            links.check_invariants([long, short].into_iter());

            assert_eq!(links.unlink(&mut short, 1), Some('b'));
            assert!(short.is_empty());
            assert_eq!(links.len(), 2);
            links.check_invariants([long, short].into_iter());
        }
    }

    #[test]
    fn unlinking_a_stranger_is_nothing() {
        let (mut links, mut long, short) = two_lists();
        for id in [2, 6, NIL] {
            assert_eq!(links.unlink(&mut long, id), None);
        }
        assert_eq!(ids(&links, long), [3, 0, 5]);
        links.check_invariants([long, short].into_iter());
    }

    #[test]
    fn refuses_a_second_place_and_the_reserved_id() {
        let (mut links, mut long, mut short) = two_lists();
        assert_eq!(links.push_front(&mut short, 3, 'x'), Err(MapError::AlreadyOn(3)));
        assert_eq!(links.push_front(&mut long, 3, 'x'), Err(MapError::AlreadyOn(3)));
        assert_eq!(links.push_front(&mut long, NIL, 'x'), Err(MapError::BadId(NIL)));
        assert_eq!(ids(&links, long), [3, 0, 5]);
        assert_eq!(ids(&links, short), [1]);
        links.check_invariants([long, short].into_iter());
    }

    #[test]
    fn no_memory_is_an_error() {
        // 2^48 bytes of nodes: more than an address space has.
        let mut links = Links::<[u8; 1 << 17]>::new();
        assert_eq!(links.reserve(MAX_IDS - 1), Err(MapError::OutOfMemory));
        assert!(links.nodes.is_empty());
    }

    #[test]
    fn visits_until_told_to_stop() {
        let (mut links, long, _) = two_lists();
        links.visit_mut(long, |item| {
            if *item == 'f' {
                return ControlFlow::Break(());
            }
            *item = 'z';
            ControlFlow::Continue(())
        });
        let items: String = links.iter(long).map(|(_, item)| item).collect();
        assert_eq!(items, "zzf");
    }

    #[test]
    #[should_panic(expected = "links 2")]
    fn sees_a_wrong_neighbour() {
        let (mut links, long, short) = two_lists();
        links.nodes[5].prev = 3;
        links.check_invariants([long, short].into_iter());
    }

    #[test]
    #[should_panic(expected = "links 1")]
    fn sees_a_member_of_no_list() {
        let (mut links, long, short) = two_lists();
        links.nodes[2].item = Some('x');
        links.check_invariants([long, short].into_iter());
    }

    #[test]
    #[should_panic(expected = "links 3")]
    fn sees_a_lost_list() {
        let (links, long, _) = two_lists();
        links.check_invariants([long].into_iter());
    }
}
