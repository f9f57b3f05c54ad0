//! [`FdMap`] against a naive map and a kernel, through random sequences of operations.
//!
//! The model is written from the documentation: an event list a descriptor, and what the kernel was last told of it,
//! with the tag. It keeps every tag that the kernel was ever given, so that none may be given twice, and reports with
//! all of them.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::RawFd;

use ev_backend::{Change, Interest, Mode, Readiness, Registration, Tag};
use ev_map::{FdMap, MapError, Matched, Removed};
use proptest::collection::vec;
use proptest::prelude::*;

/// What is done with a change once the map has given it.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The kernel is told.
    Tell,
    /// The kernel refuses; an insertion is undone.
    Refuse,
    /// It is told later.
    Defer,
}

#[derive(Clone, Debug)]
enum Op {
    Insert {
        fd: RawFd,
        id: u32,
        registration: Registration,
        then: Then,
    },
    Remove {
        id: u32,
        then: Then,
    },
    Defer {
        fd: RawFd,
    },
    Doubt {
        fd: RawFd,
    },
    /// What comes before a wait: all that is deferred. `Defer` defers it once more.
    Flush {
        then: Then,
    },
    Forget,
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![3 => Just(Then::Tell), 1 => Just(Then::Refuse), 3 => Just(Then::Defer)]
}

fn registration() -> impl Strategy<Value = Registration> {
    let mode = prop_oneof![
        5 => Just(Mode::Level),
        3 => Just(Mode::Edge),
        2 => Just(Mode::OneShot),
        1 => Just(Mode::Exclusive),
    ];
    (0..=Interest::all().bits(), mode).prop_map(|(bits, mode)| Registration {
        interest: Interest::from_bits_truncate(bits),
        mode,
    })
}

/// Descriptors on both sides of the edge of a chunk, and one beyond a gap.
fn fd() -> impl Strategy<Value = RawFd> {
    prop::sample::select(vec![0, 1, 255, 256, 5000])
}

fn op() -> impl Strategy<Value = Op> {
    let id = 0..10_u32;
    prop_oneof![
        6 => (fd(), id.clone(), registration(), then())
            .prop_map(|(fd, id, registration, then)| Op::Insert { fd, id, registration, then }),
        4 => (id, then()).prop_map(|(id, then)| Op::Remove { id, then }),
        1 => fd().prop_map(|fd| Op::Defer { fd }),
        1 => fd().prop_map(|fd| Op::Doubt { fd }),
        2 => then().prop_map(|then| Op::Flush { then }),
        1 => Just(Op::Forget),
    ]
}

struct Event {
    id: u32,
    registration: Registration,
    /// Whether a change was committed since the event came.
    told: bool,
}

#[derive(Default)]
struct Descriptor {
    /// Newest first.
    events: Vec<Event>,
    /// What the kernel knows, and what it reports with.
    kernel: Option<(Registration, Tag)>,
    /// All tags of committed changes.
    tags: Vec<Tag>,
    /// The last event to leave, if none has come since, here or, if it was that one, elsewhere.
    departed: Option<u32>,
}

impl Descriptor {
    fn wanted(&self) -> Option<Registration> {
        let mode = self.events.first()?.registration.mode;
        let interest = self.events.iter().map(|event| event.registration.interest).collect();
        Some(Registration { interest, mode })
    }

    /// What the kernel was told and what it should be told, if that has to be done.
    fn step(&self) -> Option<(Option<Registration>, Option<Registration>)> {
        let (told, wanted) = (self.kernel.map(|(told, _)| told), self.wanted());
        let arms = wanted.is_some_and(|wanted| [Mode::Edge, Mode::OneShot].contains(&wanted.mode));
        let newcomer = self.events.iter().any(|event| !event.told);
        (told != wanted || arms && newcomer).then_some((told, wanted))
    }
}

#[derive(Default)]
struct World {
    map: FdMap,
    descriptors: BTreeMap<RawFd, Descriptor>,
    deferred: VecDeque<RawFd>,
}

impl World {
    fn find(&self, id: u32) -> Option<(RawFd, Registration)> {
        self.descriptors.iter().find_map(|(&fd, descriptor)| {
            let event = descriptor.events.iter().find(|event| event.id == id)?;
            Some((fd, event.registration))
        })
    }

    /// Compares a change that the map gave with the model's.
    fn check_change(&self, fd: RawFd, change: Option<Change>) {
        let descriptor = &self.descriptors[&fd];
        assert_eq!(change.map(|change| (change.old, change.new)), descriptor.step());
        if let Some(change) = change {
            assert_eq!((change.fd, change.tag.fd()), (fd, fd));
            assert!(!descriptor.tags.contains(&change.tag), "a tag is given twice");
        }
    }

    fn commit(&mut self, change: &Change) {
        let descriptor = self.descriptors.get_mut(&change.fd).unwrap();
        descriptor.kernel = change.new.map(|new| (new, change.tag));
        descriptor.tags.push(change.tag);
        for event in &mut descriptor.events {
            event.told = true;
        }
        self.map.commit(change);
    }

    fn defer(&mut self, fd: RawFd) {
        self.map.defer(fd);
        if !self.deferred.contains(&fd) {
            self.deferred.push_back(fd);
        }
    }

    fn doubt(&mut self, fd: RawFd) {
        self.map.doubt(fd);
        if let Some((told, _)) = self
            .descriptors
            .get_mut(&fd)
            .and_then(|descriptor| descriptor.kernel.as_mut())
        {
            told.interest = Interest::from_bits_retain(u8::MAX);
        }
    }

    fn expected_error(&self, fd: RawFd, id: u32, registration: Registration) -> Option<MapError> {
        if registration.interest.is_empty() {
            return Some(MapError::NoInterest);
        }
        let present = self
            .descriptors
            .get(&fd)
            .and_then(Descriptor::wanted)
            .map(|wanted| wanted.mode);
        if let Some(present) = present
            && (present != registration.mode || present == Mode::Exclusive)
        {
            return Some(MapError::ModeConflict { fd, present });
        }
        self.find(id).map(|_| MapError::AlreadyOn(id))
    }

    /// Inserts an event with few steps, where that is possible.
    fn insert_again(&mut self, fd: RawFd, id: u32, registration: Registration) -> bool {
        let departed = self.descriptors.get(&fd).and_then(|descriptor| descriptor.departed);
        let is_back = self.map.insert_again(fd, id, registration);
        assert_eq!(is_back, departed == Some(id));
        is_back
    }

    fn insert(&mut self, fd: RawFd, id: u32, registration: Registration, then: Then) {
        let is_plain = !registration.interest.is_empty() && matches!(then, Then::Defer);
        if is_plain && self.insert_again(fd, id, registration) {
            self.note_insertion(fd, id, registration);
            self.defer(fd);
            return;
        }
        let result = self.map.insert(fd, id, registration);
        if let Some(error) = self.expected_error(fd, id, registration) {
            assert_eq!(result, Err(error));
            return;
        }
        let before = self.descriptors.get(&fd).and_then(Descriptor::step);
        self.note_insertion(fd, id, registration);
        let change = result.unwrap();
        self.check_change(fd, change);
        let Some(change) = change else { return };
        match then {
            Then::Tell => self.commit(&change),
            Then::Defer => self.defer(fd),
            Then::Refuse => {
                self.remove(id, Then::Refuse);
                let now = self.map.change(fd);
                assert_eq!(
                    now.map(|now| (now.old, now.new)),
                    before,
                    "an undone insertion leaves a trace"
                );
            }
        }
    }

    fn note_insertion(&mut self, fd: RawFd, id: u32, registration: Registration) {
        for descriptor in self.descriptors.values_mut() {
            descriptor.departed = descriptor.departed.filter(|&departed| departed != id);
        }
        let descriptor = self.descriptors.entry(fd).or_default();
        descriptor.departed = None;
        let event = Event {
            id,
            registration,
            told: false,
        };
        descriptor.events.insert(0, event);
    }

    fn note_removal(&mut self, fd: RawFd, id: u32) {
        let descriptor = self.descriptors.get_mut(&fd).unwrap();
        descriptor.events.retain(|event| event.id != id);
        if descriptor.events.is_empty() {
            descriptor.departed = Some(id);
        }
    }

    fn remove(&mut self, id: u32, then: Then) {
        let place = self.find(id);
        if let (Some((fd, _)), Then::Defer) = (place, then) {
            let is_only = self.map.remove_only(fd, id);
            assert_eq!(is_only, self.descriptors[&fd].events.len() == 1);
            if is_only {
                self.note_removal(fd, id);
                self.defer(fd);
                return;
            }
        }
        let removed = self.map.remove(id);
        let Some((fd, _)) = place else {
            assert_eq!(removed, None);
            return;
        };
        self.note_removal(fd, id);
        let Removed { fd: found, change } = removed.unwrap();
        assert_eq!(found, fd);
        self.check_change(fd, change);
        match (change, then) {
            (Some(change), Then::Tell) => self.commit(&change),
            (Some(_), Then::Defer) => self.defer(fd),
            (Some(_), Then::Refuse) | (None, _) => {}
        }
    }

    fn flush(&mut self, then: Then) {
        let mut again = vec![];
        while let Some(change) = self.map.next_deferred() {
            while self.descriptors[&self.deferred[0]].step().is_none() {
                self.deferred.pop_front();
            }
            assert_eq!(self.deferred.pop_front(), Some(change.fd));
            self.check_change(change.fd, Some(change));
            match then {
                Then::Tell => self.commit(&change),
                Then::Refuse => {}
                Then::Defer => again.push(change.fd),
            }
        }
        while let Some(fd) = self.deferred.pop_front() {
            assert_eq!(self.descriptors[&fd].step(), None, "{fd} was passed over");
        }
        for fd in again {
            self.defer(fd);
        }
    }

    fn forget(&mut self) {
        self.map.forget_told();
        self.deferred.clear();
        for (&fd, descriptor) in &mut self.descriptors {
            descriptor.kernel = None;
            if !descriptor.events.is_empty() {
                self.deferred.push_back(fd);
            }
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Insert {
                fd,
                id,
                registration,
                then,
            } => self.insert(fd, id, registration, then),
            Op::Remove { id, then } => self.remove(id, then),
            // Whether a descriptor without history takes a place in the queue is the map's own affair.
            Op::Defer { fd } if !self.descriptors.contains_key(&fd) => {}
            Op::Defer { fd } => self.defer(fd),
            Op::Doubt { fd } => self.doubt(fd),
            Op::Flush { then } => self.flush(then),
            Op::Forget => self.forget(),
        }
    }

    /// Compares all that can be asked of the map, under a report of `readiness` from each registration there ever was.
    fn check(&self, readiness: Readiness) {
        self.map.check_invariants();
        let mut all = vec![];
        for (&fd, descriptor) in &self.descriptors {
            self.check_change(fd, self.map.change(fd));
            let ids: Vec<_> = descriptor.events.iter().map(|event| event.id).collect();
            assert_eq!(self.map.events_on(fd).collect::<Vec<_>>(), ids);
            all.extend(ids.into_iter().map(|id| (fd, id)));
            for &tag in &descriptor.tags {
                self.check_report(descriptor, tag, readiness);
            }
        }
        assert_eq!(self.map.len(), all.len());
        assert_eq!(self.map.is_empty(), all.is_empty());
        assert_eq!(self.map.iter().collect::<Vec<_>>(), all);
        for id in 0..12 {
            assert_eq!(self.map.registration(id), self.find(id));
        }
    }

    fn check_report(&self, descriptor: &Descriptor, tag: Tag, readiness: Readiness) {
        let mut hits = vec![];
        let matched = self.map.matching(tag, readiness, |id, hit| hits.push((id, hit.bits())));
        let is_current = descriptor.kernel.is_some_and(|(_, current)| current == tag);
        if is_current && !descriptor.events.is_empty() {
            let asked = |event: &Event| match event.registration.interest.bits() & readiness.bits() {
                0 => readiness.bits() & Readiness::ERROR.bits(),
                hit => hit,
            };
            let expected: Vec<_> = descriptor
                .events
                .iter()
                .map(|event| (event.id, asked(event)))
                .filter(|(_, hit)| *hit != 0)
                .collect();
            assert_eq!((matched, &hits), (Matched::Current, &expected));
        } else {
            assert_eq!((matched, &hits), (Matched::Stale, &vec![]));
        }
        self.check_only(descriptor, tag, readiness, &hits);
    }

    /// The short way finds no more than the long one, and all of it where there is one event and no error.
    fn check_only(&self, descriptor: &Descriptor, tag: Tag, readiness: Readiness, hits: &[(u32, u8)]) {
        let only = self.map.matching_only(tag, readiness);
        let only = only.map(|(id, hit)| (id, hit.bits()));
        if only.is_some() || descriptor.events.len() == 1 && !readiness.contains(Readiness::ERROR) {
            assert_eq!(only.as_slice(), hits);
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_model(ops in vec((op(), 0..=Readiness::all().bits()), 1..80)) {
        let mut world = World::default();
        for (op, readiness) in &ops {
            world.run(op);
            world.check(Readiness::from_bits_truncate(*readiness));
        }
    }
}
