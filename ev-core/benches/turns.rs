//! Turns of the loop without a kernel: what lies between a report and its callback.
//!
//! ```text
//! cargo bench -p ev-core --features sim
//! ```
//!
//! | benchmark | is a turn in which |
//! |---|---|
//! | `reports` | a backend that does nothing else reports every descriptor: map, activate, pop, call, finish |
//! | `simulated` | the simulated backend reports them, which has work of its own |
//! | `activated` | events without descriptors are activated by hand, on one priority |
//! | `activated_on_priorities` | the same, on eight priorities |
//!
//! A figure is for all events of the turn, a throughput in events.

use std::io;
use std::num::NonZeroU8;
use std::os::fd::RawFd;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ev_core::backend::{Backend, Change, Features, Tag, UpdateError, Waiter};
use ev_core::{Causes, Config, EventKey, EventLoop, Interest, RawIo, Readiness, RunMode, User};

const COUNTS: [u32; 2] = [1_000, 100_000];
const TURN: RunMode = RunMode::ONCE.union(RunMode::NON_BLOCKING);
/// Descriptors that need not be open: no kernel is asked.
const FIRST: RawFd = 100;

/// A backend that reports every registered descriptor at each wait, in a scattered order.
#[derive(Default)]
struct Everything {
    tags: Vec<Tag>,
    is_new: bool,
}

/// Its other half.
#[derive(Default)]
struct Reports {
    tags: Vec<Tag>,
    /// How many were taken since the wait.
    taken: usize,
}

impl Backend for Everything {
    type Waiter = Reports;

    fn name(&self) -> &'static str {
        "everything"
    }

    fn features(&self) -> Features {
        Features::empty()
    }

    fn update(&mut self, change: &Change) -> Result<(), UpdateError> {
        self.tags.push(change.tag);
        self.is_new = true;
        Ok(())
    }

    fn prepare(&mut self, waiter: &mut Reports) -> io::Result<()> {
        if self.is_new {
            let count = self.tags.len();
            // Coprime to the counts, so that each comes once.
            waiter.tags = (0..count).map(|i| self.tags[i * 7919 % count]).collect();
            self.is_new = false;
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.tags.clear();
        Ok(())
    }
}

impl Waiter for Reports {
    fn wait(&mut self, _timeout: Option<Duration>) -> io::Result<usize> {
        self.taken = 0;
        Ok(self.tags.len())
    }

    fn next_report(&mut self) -> Option<(Tag, Readiness)> {
        let &tag = self.tags.get(self.taken)?;
        self.taken += 1;
        Some((tag, Readiness::READ))
    }
}

/// Adds an event that counts on each of so many descriptors.
fn add_all<B: Backend>(lp: &mut EventLoop<u64, B>, count: u32) {
    for fd in (FIRST..).take(count as usize) {
        lp.insert(RawIo::new(fd, Interest::READ), |cx, (), _| *cx.state += 1)
            .expect("the backend takes any number");
    }
}

/// Measures a turn that calls so many events.
fn measure<B: Backend>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    count: u32,
    lp: &mut EventLoop<u64, B>,
    mut activate: impl FnMut(&mut EventLoop<u64, B>),
) {
    group.throughput(Throughput::Elements(count.into()));
    group.bench_function(BenchmarkId::new(name, count), |bencher| {
        bencher.iter(|| {
            let mut called = 0;
            activate(lp);
            lp.run_with(TURN, &mut called).expect("the backend works");
            assert_eq!(called, u64::from(count));
        });
    });
}

fn reports(group: &mut BenchmarkGroup<'_, WallTime>, count: u32) {
    let mut lp = EventLoop::with_backend(Everything::default(), Reports::default(), &Config::new());
    add_all(&mut lp, count);
    measure(group, "reports", count, &mut lp, |_| {});
}

fn simulated(group: &mut BenchmarkGroup<'_, WallTime>, count: u32) {
    let (mut lp, script) = EventLoop::simulated(0, &Config::new()).expect("there are descriptors");
    for fd in (FIRST..).take(count as usize) {
        script.set(fd, Readiness::READ);
    }
    add_all(&mut lp, count);
    measure(group, "simulated", count, &mut lp, |_| {});
}

fn activated(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, count: u32, priorities: NonZeroU8) {
    let (backend, waiter) = (Everything::default(), Reports::default());
    let mut lp = EventLoop::with_backend(backend, waiter, &Config::new().priorities(priorities));
    let insert = |priority: u8| {
        let event = User::new().priority(priority);
        lp.insert(event, |cx, (), _| *cx.state += 1).expect("there is memory")
    };
    let turns = (0..priorities.get()).cycle().take(count as usize);
    let events: Vec<EventKey> = turns.map(insert).collect();
    measure(group, name, count, &mut lp, |lp| {
        for &event in &events {
            lp.activate(event, Causes::empty()).expect("the event exists");
        }
    });
}

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("turn");
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for count in COUNTS {
        reports(&mut group, count);
        simulated(&mut group, count);
        activated(&mut group, "activated", count, NonZeroU8::MIN);
        activated(
            &mut group,
            "activated_on_priorities",
            count,
            NonZeroU8::new(8).expect("8 is not 0"),
        );
    }
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
