//! The naive model: a map from (deadline, order of arming) to id.

use std::collections::{BTreeMap, HashMap};

use ev_timer::Time;

#[derive(Debug, Default)]
pub(crate) struct Model {
    order: BTreeMap<(Time, u64), u32>,
    keys: HashMap<u32, (Time, u64)>,
    armings: u64,
}

impl Model {
    pub(crate) fn set(&mut self, id: u32, deadline: Time) {
        self.cancel(id);
        self.armings += 1;
        self.order.insert((deadline, self.armings), id);
        self.keys.insert(id, (deadline, self.armings));
    }

    pub(crate) fn cancel(&mut self, id: u32) -> Option<Time> {
        let key = self.keys.remove(&id)?;
        self.order.remove(&key);
        Some(key.0)
    }

    pub(crate) fn pop_expired(&mut self, now: Time) -> Option<(u32, Time)> {
        let (id, deadline) = self.first().filter(|(_, deadline)| *deadline <= now)?;
        self.cancel(id);
        Some((id, deadline))
    }

    pub(crate) fn first(&self) -> Option<(u32, Time)> {
        self.order.first_key_value().map(|(&(deadline, _), &id)| (id, deadline))
    }

    pub(crate) fn deadline(&self, id: u32) -> Option<Time> {
        self.keys.get(&id).map(|key| key.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn clear(&mut self) {
        self.order.clear();
        self.keys.clear();
    }

    /// The armed timers by id.
    pub(crate) fn by_id(&self) -> Vec<(u32, Time)> {
        let mut all: Vec<_> = self.keys.iter().map(|(&id, &(deadline, _))| (id, deadline)).collect();
        all.sort_unstable();
        all
    }
}
