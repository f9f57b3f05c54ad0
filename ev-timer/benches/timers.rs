//! The structures alone: what arming, cancelling, arming anew and expiring cost.
//!
//! ```text
//! cargo bench -p ev-timer
//! ```

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ev_timer::{DeadlineHeap, Time, TimeoutQueue, Timers};

const COUNTS: [u32; 2] = [1_000, 100_000];
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is measured of each structure.
trait Structure {
    fn empty(count: u32) -> Self;
    /// Arms a timer, at the time or with the random number given.
    fn set(&mut self, id: u32, now: Time, random: u64);
    fn cancel(&mut self, id: u32);
    fn pop(&mut self) -> Option<(u32, Time)>;
}

/// A time after every deadline.
const END: Time = Time::MAX;

impl Structure for DeadlineHeap {
    fn empty(count: u32) -> Self {
        Self::with_capacity(count as usize)
    }

    fn set(&mut self, id: u32, now: Time, random: u64) {
        self.set(id, now + Duration::from_nanos(random));
    }

    fn cancel(&mut self, id: u32) {
        self.cancel(id);
    }

    fn pop(&mut self) -> Option<(u32, Time)> {
        self.pop_expired(END)
    }
}

impl Structure for TimeoutQueue {
    fn empty(_count: u32) -> Self {
        Self::new(TIMEOUT)
    }

    fn set(&mut self, id: u32, now: Time, _random: u64) {
        self.set(id, now);
    }

    fn cancel(&mut self, id: u32) {
        self.cancel(id);
    }

    fn pop(&mut self) -> Option<(u32, Time)> {
        self.pop_expired(END)
    }
}

/// [`Timers`], all with deadlines of their own.
struct RandomTimers(Timers);

impl Structure for RandomTimers {
    fn empty(count: u32) -> Self {
        Self(Timers::with_capacity(count as usize))
    }

    fn set(&mut self, id: u32, now: Time, random: u64) {
        self.0.set(id, now + Duration::from_nanos(random));
    }

    fn cancel(&mut self, id: u32) {
        self.0.cancel(id);
    }

    fn pop(&mut self) -> Option<(u32, Time)> {
        self.0.pop_expired(END)
    }
}

/// [`Timers`], all with the same timeout, of which it is not told.
struct AlikeTimers(Timers);

impl Structure for AlikeTimers {
    fn empty(count: u32) -> Self {
        Self(Timers::with_capacity(count as usize))
    }

    fn set(&mut self, id: u32, now: Time, _random: u64) {
        self.0.set_after(id, now, TIMEOUT);
    }

    fn cancel(&mut self, id: u32) {
        self.0.cancel(id);
    }

    fn pop(&mut self) -> Option<(u32, Time)> {
        self.0.pop_expired(END)
    }
}

/// The same random numbers each time, and an order of the timers.
struct Work {
    random: Vec<u64>,
    order: Vec<u32>,
}

impl Work {
    fn new(count: u32) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |end: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % end
        };
        let random = (0..count).map(|_| below(1_000_000_000_000)).collect();
        let mut order: Vec<u32> = (0..count).collect();
        for i in 1..order.len() {
            order.swap(i, below(i as u64 + 1) as usize);
        }
        Self { random, order }
    }

    fn armed<T: Structure>(&self) -> T {
        let mut timers = T::empty(self.order.len() as u32);
        self.arm_all(&mut timers, Time::ZERO);
        timers
    }

    fn arm_all<T: Structure>(&self, timers: &mut T, start: Time) {
        for (id, &random) in (0..).zip(&self.random) {
            timers.set(id, start + Duration::from_nanos(id.into()), random);
        }
    }
}

/// Measures a structure; a figure is for all timers, a throughput in timers.
fn measure<T: Structure>(criterion: &mut Criterion, name: &str) {
    let mut group = criterion.benchmark_group(name);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for count in COUNTS {
        let work = Work::new(count);
        let size = BatchSize::LargeInput;
        group.throughput(Throughput::Elements(u64::from(count)));
        group.bench_function(BenchmarkId::new("insert", count), |bencher| {
            bencher.iter_batched_ref(|| T::empty(count), |timers| work.arm_all(timers, Time::ZERO), size);
        });
        group.bench_function(BenchmarkId::new("cancel", count), |bencher| {
            let cancel = |timers: &mut T| work.order.iter().for_each(|&id| timers.cancel(id));
            bencher.iter_batched_ref(|| work.armed::<T>(), cancel, size);
        });
        group.bench_function(BenchmarkId::new("set_anew", count), |bencher| {
            let set_anew = |timers: &mut T| {
                for (&id, &random) in work.order.iter().zip(&work.random) {
                    timers.set(id, Time::from_nanos(u64::from(count)), random);
                }
            };
            bencher.iter_batched_ref(|| work.armed::<T>(), set_anew, size);
        });
        group.bench_function(BenchmarkId::new("push_back", count), |bencher| {
            // Later than the first deadline of all, by a whole range of them.
            let later = Time::from_nanos(1_000_000_000_000);
            bencher.iter_batched_ref(|| work.armed::<T>(), |timers| work.arm_all(timers, later), size);
        });
        group.bench_function(BenchmarkId::new("expire", count), |bencher| {
            let expire = |timers: &mut T| while black_box(timers.pop()).is_some() {};
            bencher.iter_batched_ref(|| work.armed::<T>(), expire, size);
        });
    }
    group.finish();
}

fn all(criterion: &mut Criterion) {
    measure::<DeadlineHeap>(criterion, "deadline_heap");
    measure::<TimeoutQueue>(criterion, "timeout_queue");
    measure::<RandomTimers>(criterion, "timers_random");
    measure::<AlikeTimers>(criterion, "timers_same_duration");
}

criterion_group!(benches, all);
criterion_main!(benches);
