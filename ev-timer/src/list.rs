//! Doubly linked lists of timer ids.
//!
//! ```text
//! list     head ─► 7 ◄─► 2 ◄─► 9 ◄─ tail
//! links    [2] = { prev: 7, next: 9 }, ..
//! ```
//!
//! One array of links, 8 bytes an id, serves any number of lists, as an id is in one list at most. Invariants:
//!
//! 1. Following `next` from the head and `prev` from the tail visits the same ids, in opposite orders.
//! 2. The lists together hold `len` ids.

use alloc::collections::TryReserveError;

use crate::by_id::ById;
use crate::slots::MAX_ID;

/// No id.
const NIL: u32 = u32::MAX;
const _: () = assert!(NIL > MAX_ID);

#[derive(Clone, Copy, Debug)]
struct Link {
    prev: u32,
    next: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { prev: NIL, next: NIL }
    }
}

/// One list: its ends. Both are there or neither is.
#[derive(Clone, Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const fn new() -> Self {
        Self { head: NIL, tail: NIL }
    }

    #[inline]
    pub(crate) fn head(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    #[inline]
    pub(crate) fn tail(&self) -> Option<u32> {
        (self.tail != NIL).then_some(self.tail)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head == NIL
    }
}

/// The links of all lists.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    by_id: ById<Link>,
    len: usize,
}

impl Links {
    pub(crate) const fn new() -> Self {
        Self {
            by_id: ById::new(),
            len: 0,
        }
    }

    /// Whether there is room for this id.
    #[inline]
    pub(crate) fn has_room(&self, id: u32) -> bool {
        self.by_id.has_room(id)
    }

    /// Makes room for all ids below `ids`.
    pub(crate) fn try_make_room(&mut self, ids: usize) -> Result<(), TryReserveError> {
        self.by_id.try_make_room(ids)
    }

    /// Makes room for all ids below `ids`.
    pub(crate) fn make_room(&mut self, ids: usize) {
        self.by_id.make_room(ids);
    }

    /// Appends an id that is in no list. There has to be room for it.
    #[inline]
    pub(crate) fn push_back(&mut self, list: &mut List, id: u32) {
        self.by_id[id] = Link {
            prev: list.tail,
            next: NIL,
        };
        match list.tail {
            NIL => list.head = id,
            tail => self.by_id[tail].next = id,
        }
        list.tail = id;
        self.len += 1;
    }

    /// Takes out an id that is in this list.
    #[inline]
    pub(crate) fn remove(&mut self, list: &mut List, id: u32) {
        let Link { prev, next } = self.by_id[id];
        match prev {
            NIL => list.head = next,
            prev => self.by_id[prev].next = next,
        }
        match next {
            NIL => list.tail = prev,
            next => self.by_id[next].prev = prev,
        }
        self.len -= 1;
    }

    /// Takes out the first id of this list.
    #[inline]
    pub(crate) fn pop_front(&mut self, list: &mut List) -> Option<u32> {
        let first = list.head()?;
        list.head = self.by_id[first].next;
        match list.head {
            NIL => list.tail = NIL,
            head => self.by_id[head].prev = NIL,
        }
        self.len -= 1;
        Some(first)
    }

    /// Moves an id of this list to its end.
    #[inline]
    pub(crate) fn move_to_back(&mut self, list: &mut List, id: u32) {
        let Link { prev, next } = self.by_id[id];
        if next == NIL {
            return;
        }
        match prev {
            NIL => list.head = next,
            prev => self.by_id[prev].next = next,
        }
        self.by_id[next].prev = prev;
        self.by_id[list.tail].next = id;
        self.by_id[id] = Link {
            prev: list.tail,
            next: NIL,
        };
        list.tail = id;
    }

    /// The ids in all lists.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The ids of one list, head first.
    pub(crate) fn iter(&self, list: &List) -> impl Iterator<Item = u32> {
        core::iter::successors(list.head(), |&id| Some(self.by_id[id].next).filter(|&next| next != NIL))
    }

    /// Forgets all lists' contents. The caller empties the lists.
    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
        self.len = 0;
    }

    /// Cuts the array to the ids below `ids` and gives back memory that was far from being used since the last time.
    pub(crate) fn trim(&mut self, ids: usize) {
        self.by_id.trim(ids);
    }

    pub(crate) fn shrink_to_fit(&mut self, ids: usize) {
        self.by_id.shrink_to_fit(ids);
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn check_invariants<'a>(&self, lists: impl IntoIterator<Item = &'a List>) {
        let mut len = 0;
        for list in lists {
            let mut prev = NIL;
            for id in self.iter(list) {
                assert_eq!(self.by_id[id].prev, prev, "1: the link back from {id}");
                prev = id;
                len += 1;
                assert!(len <= self.len, "2: a list is longer than all of them");
            }
            assert_eq!(list.tail, prev, "1: the tail");
        }
        assert_eq!(len, self.len, "2: the number of ids");
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.by_id.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lists 2, 0, 3 and 1.
    fn two_lists() -> (Links, [List; 2]) {
        let (mut links, mut long, mut short) = (Links::new(), List::new(), List::new());
        links.make_room(4);
        for id in [2, 0, 3] {
            links.push_back(&mut long, id);
        }
        links.push_back(&mut short, 1);
        let lists = [long, short];
        links.check_invariants(&lists);
        (links, lists)
    }

    #[test]
    fn room_is_made_for_as_many_as_asked() {
        let mut links = Links::new();
        for ids in [64, 128, 256] {
            assert!(!links.has_room(ids - 1));
            links.try_make_room(ids as usize).unwrap();
            assert!(links.has_room(ids - 1));
            assert_eq!(links.bytes(), ids as usize * size_of::<Link>());
        }
    }

    #[test]
    #[should_panic(expected = "1: the link back from 0")]
    fn sees_a_wrong_link_back() {
        let (mut links, lists) = two_lists();
        links.by_id[0].prev = 3;
        links.check_invariants(&lists);
    }

    #[test]
    #[should_panic(expected = "1: the tail")]
    fn sees_a_wrong_tail() {
        let (links, mut lists) = two_lists();
        lists[0].tail = 0;
        links.check_invariants(&lists);
    }

    #[test]
    #[should_panic(expected = "2: a list is longer")]
    fn sees_one_too_many() {
        let (mut links, lists) = two_lists();
        links.len = 2;
        links.check_invariants(&lists);
    }

    #[test]
    #[should_panic(expected = "2: the number of ids")]
    fn sees_a_lost_list() {
        let (links, lists) = two_lists();
        links.check_invariants(&lists[..1]);
    }
}
