//! The map alone: registering events, finding the event of a report, changes that cancel out.
//!
//! ```text
//! cargo bench -p ev-map
//! ```

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ev_backend::{Interest, Mode, Readiness, Registration, Tag};
use ev_map::{FdMap, Matched};

const COUNTS: [i32; 2] = [1_000, 100_000];
const READ: Registration = Registration {
    interest: Interest::READ,
    mode: Mode::Level,
};

/// An event on each of so many descriptors, and the tags that the kernel was told of them.
fn registered(count: i32) -> (FdMap, Vec<Tag>) {
    let mut map = FdMap::new();
    let tags = (0..count).map(|fd| register(&mut map, fd)).collect();
    (map, tags)
}

/// Registers the event of the same number on a descriptor; the tag for the kernel.
fn register(map: &mut FdMap, fd: i32) -> Tag {
    let change = map.insert(fd, fd.unsigned_abs(), READ);
    let change = change
        .expect("there is memory")
        .expect("the kernel knows nothing of it");
    map.commit(&change);
    change.tag
}

/// The numbers in an order in which no two neighbours stay neighbours.
fn scattered<T: Copy>(values: &[T]) -> Vec<T> {
    // Coprime to the counts, so that each comes once.
    (0..values.len()).map(|i| values[i * 7919 % values.len()]).collect()
}

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fd_map");
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for count in COUNTS {
        group.throughput(Throughput::Elements(count.unsigned_abs().into()));
        group.bench_function(BenchmarkId::new("register", count), |bencher| {
            bencher.iter(|| registered(black_box(count)));
        });
        group.bench_function(BenchmarkId::new("unregister", count), |bencher| {
            let unregister = |(map, _): &mut (FdMap, Vec<Tag>)| {
                for id in 0..count.unsigned_abs() {
                    if let Some(change) = map.remove(id).and_then(|removed| removed.change) {
                        map.commit(&change);
                    }
                }
            };
            bencher.iter_batched_ref(|| registered(count), unregister, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("report", count), |bencher| {
            let (map, tags) = registered(count);
            let tags = scattered(&tags);
            bencher.iter(|| {
                let mut sum = 0_u64;
                for &tag in &tags {
                    let matched = map.matching(tag, Readiness::READ, |id, _| sum += u64::from(id));
                    debug_assert_eq!(matched, Matched::Current);
                }
                sum
            });
        });
        group.bench_function(BenchmarkId::new("remove_and_insert_deferred", count), |bencher| {
            let (mut map, _) = registered(count);
            bencher.iter(|| {
                for fd in 0..count {
                    map.remove(fd.unsigned_abs());
                    map.defer(fd);
                    map.insert(fd, fd.unsigned_abs(), READ).expect("there is memory");
                }
                assert!(map.next_deferred().is_none(), "nothing has changed");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
