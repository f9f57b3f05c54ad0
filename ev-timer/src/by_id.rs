//! An array with an element for each timer's id.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use crate::slots::{give_back, grow, try_grow};

/// As long as room was made for; what no timer has set is the default.
#[derive(Clone, Debug)]
pub(crate) struct ById<T> {
    elements: Vec<T>,
}

impl<T: Copy + Default> ById<T> {
    pub(crate) const fn new() -> Self {
        Self { elements: Vec::new() }
    }

    /// Whether there is room for this id.
    #[inline]
    pub(crate) fn has_room(&self, id: u32) -> bool {
        (id as usize) < self.elements.len()
    }

    /// Makes room for all ids below `ids`.
    pub(crate) fn try_make_room(&mut self, ids: usize) -> Result<(), TryReserveError> {
        try_grow(&mut self.elements, ids)?;
        self.make_room(ids);
        Ok(())
    }

    /// Makes room for all ids below `ids`.
    pub(crate) fn make_room(&mut self, ids: usize) {
        if ids > self.elements.len() {
            grow(&mut self.elements, ids);
            self.elements.resize(ids, T::default());
        }
    }

    /// The element of an id, if there is room for it.
    #[inline]
    pub(crate) fn element(&self, id: u32) -> Option<&T> {
        self.elements.get(id as usize)
    }

    pub(crate) fn clear(&mut self) {
        self.elements.clear();
    }

    /// Cuts the array to the ids below `ids` and gives back memory that was far from being used since the last time.
    pub(crate) fn trim(&mut self, ids: usize) {
        let used = self.elements.len();
        self.elements.truncate(ids);
        give_back(&mut self.elements, used);
    }

    pub(crate) fn shrink_to_fit(&mut self, ids: usize) {
        self.elements.truncate(ids);
        self.elements.shrink_to_fit();
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.elements.capacity() * size_of::<T>()
    }
}

impl<T> Index<u32> for ById<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: u32) -> &T {
        &self.elements[id as usize]
    }
}

impl<T> IndexMut<u32> for ById<T> {
    #[inline]
    fn index_mut(&mut self, id: u32) -> &mut T {
        &mut self.elements[id as usize]
    }
}
