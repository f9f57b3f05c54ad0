//! What kqueue reports beside descriptors.
#![cfg(all(
    feature = "kqueue",
    any(feature = "libkqueue", not(any(target_os = "linux", target_os = "android")))
))]

use std::time::Duration;

use ev_backend::{Backend, Kqueue, Readiness, Tag, Waiter};
use ev_sys::kqueue::{Event, Filter, Flags, NOTE_TRIGGER};

const TAG: usize = usize::MAX - 1;

fn trigger(kqueue: &Kqueue) {
    let trigger = Event::new(0, Filter::USER, Flags::empty())
        .with_fflags(NOTE_TRIGGER)
        .with_udata(TAG);
    kqueue.queue().kevent(&[trigger], &mut [], None).unwrap();
}

fn reports(waiter: &mut impl Waiter) -> Vec<(Tag, Readiness)> {
    let mut reports = Vec::new();
    waiter.for_each(|tag, readiness| reports.push((tag, readiness)));
    reports
}

#[test]
fn a_user_source_is_reported_by_its_tag() {
    let (mut kqueue, mut waiter) = Kqueue::new().unwrap();
    let add = Event::new(0, Filter::USER, Flags::ADD | Flags::CLEAR).with_udata(TAG);
    kqueue.queue().kevent(&[add], &mut [], None).unwrap();
    kqueue.prepare(&mut waiter).unwrap();
    assert_eq!(waiter.wait(Some(Duration::ZERO)).unwrap(), 0);

    for _ in 0..2 {
        trigger(&kqueue);
        trigger(&kqueue);
        assert_eq!(waiter.wait(None).unwrap(), 1);
        assert_eq!(reports(&mut waiter), [(Tag::from_bits(TAG as u64), Readiness::READ)]);
        assert_eq!(waiter.wait(Some(Duration::ZERO)).unwrap(), 0);
    }
}

#[test]
fn a_user_source_wakes_a_waiting_thread() {
    let (kqueue, mut waiter) = Kqueue::new().unwrap();
    let add = Event::new(0, Filter::USER, Flags::ADD | Flags::CLEAR).with_udata(TAG);
    kqueue.queue().kevent(&[add], &mut [], None).unwrap();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| waiter.wait(None).unwrap());
        trigger(&kqueue);
        assert_eq!(sleeper.join().unwrap(), 1);
    });
}

#[test]
fn a_reset_makes_another_queue() {
    let (mut kqueue, mut waiter) = Kqueue::new().unwrap();
    let add = Event::new(0, Filter::USER, Flags::ADD | Flags::CLEAR).with_udata(TAG);
    kqueue.queue().kevent(&[add], &mut [], None).unwrap();
    trigger(&kqueue);
    kqueue.reset().unwrap();
    kqueue.prepare(&mut waiter).unwrap();
    assert_eq!(waiter.wait(Some(Duration::ZERO)).unwrap(), 0);
}
