//! `Range: bytes=…` (RFC 9110, 14).

/// What a range selects of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it: the range is none this server understands. Several ranges at once are among those; a server may
    /// answer them with the whole file.
    Whole,
    /// `length` bytes from `start`, all inside the file, and at least one.
    Part { start: u64, length: u64 },
    /// Nothing: the range starts behind the end.
    Unsatisfiable,
}

/// Applies the value of a `Range` field to a file of `total` bytes.
pub(crate) fn select(field: &str, total: u64) -> Selection {
    parse(field, total).unwrap_or(Selection::Whole)
}

fn parse(field: &str, total: u64) -> Option<Selection> {
    let (unit, spec) = field.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let (start, end) = match (first, last) {
        ("", suffix) => match number(suffix)? {
            0 => return Some(Selection::Unsatisfiable),
            suffix => (total.saturating_sub(suffix), total),
        },
        (first, "") => (number(first)?, total),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(total))
        }
    };
    match end.checked_sub(start) {
        Some(length @ 1..) => Some(Selection::Part { start, length }),
        _ => Some(Selection::Unsatisfiable),
    }
}

/// A number of ASCII digits; one too large is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn ranges() {
        for (field, total, expected) in [
            ("bytes=0-0", 10, Part { start: 0, length: 1 }),
            ("bytes=2-4", 10, Part { start: 2, length: 3 }),
            ("Bytes= 2-4 ", 10, Part { start: 2, length: 3 }),
            ("bytes=0-", 10, Part { start: 0, length: 10 }),
            ("bytes=9-", 10, Part { start: 9, length: 1 }),
            ("bytes=5-99", 10, Part { start: 5, length: 5 }),
            ("bytes=5-99999999999999999999", 10, Part { start: 5, length: 5 }),
            ("bytes=-3", 10, Part { start: 7, length: 3 }),
            ("bytes=-30", 10, Part { start: 0, length: 10 }),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-20", 10, Unsatisfiable),
            ("bytes=99999999999999999999-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-5", 0, Unsatisfiable),
            ("bytes=4-2", 10, Whole),
            ("bytes=0-1,3-4", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=1--2", 10, Whole),
            ("bytes 0-1", 10, Whole),
            ("lines=0-1", 10, Whole),
            ("", 10, Whole),
        ] {
            assert_eq!(select(field, total), expected, "{field:?} of {total}");
        }
    }

    #[test]
    fn the_largest_file() {
        let total = u64::MAX;
        assert_eq!(
            select("bytes=0-18446744073709551615", total),
            Part {
                start: 0,
                length: total
            }
        );
        assert_eq!(
            select("bytes=18446744073709551614-", total),
            Part {
                start: total - 1,
                length: 1
            }
        );
    }
}
