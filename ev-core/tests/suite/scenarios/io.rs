//! Readiness of descriptors.

use std::io::{Read, Write};

use ev_core::{Causes, Interest, Io, Outcome};

use super::scenarios;
use crate::cell::Cell;
use crate::harness::Verdict;
use crate::support::{Log, pair};

scenarios!("io": readable, persistent_level_reports_until_read);

/// A persistent read event is called when data comes, and the loop ends once it is removed.
fn readable(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    lp.events()
        .insert(Io::new(near, Interest::READ), move |cx, stream, fired| {
            let mut buffer = [0; 16];
            let n = stream.read(&mut buffer).unwrap();
            seen.push((fired.causes(), buffer[..n].to_vec()));
            cx.remove(fired.key()).unwrap();
        });
    far.write_all(b"hello").unwrap();
    assert_eq!(lp.run(), Outcome::Empty);
    assert_eq!(log.take(), [(Causes::READ, b"hello".to_vec())]);
    Ok(())
}

/// Level-triggered readiness is reported in each turn for as long as it holds.
fn persistent_level_reports_until_read(cell: &Cell) -> Verdict {
    let mut lp = cell.open();
    let (near, mut far) = pair();
    let log = Log::new();
    let seen = log.clone();
    let key = lp.events().insert(Io::new(near, Interest::READ), move |_, _, fired| {
        seen.push(fired.causes())
    });
    far.write_all(b"x").unwrap();
    for turn in 1..=3 {
        assert_eq!(lp.pass(), Outcome::Passed);
        assert_eq!(log.len(), turn);
    }
    assert!(lp.events().is_pending(key).unwrap());
    lp.events().delete(key).unwrap();
    assert_eq!(lp.pass(), Outcome::Empty);
    assert_eq!(log.len(), 3);
    Ok(())
}
