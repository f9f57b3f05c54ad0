//! Dates as HTTP writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// The first second that a date with a year of four digits cannot tell.
const END: u64 = 253_402_300_800;

/// The seconds from 1970 to `time`, if a header can tell them: a file may claim to be from any time.
pub(crate) fn seconds(time: SystemTime) -> Option<u64> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    (seconds < END).then_some(seconds)
}

/// The date so many [`seconds`] after 1970 began.
pub(crate) fn format(seconds: u64) -> HttpDate {
    HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The seconds that a header tells.
pub(crate) fn parse(date: &str) -> Option<u64> {
    seconds(httpdate::parse_http_date(date).ok()?)
}

/// The current date as a text, made once a second.
#[derive(Debug, Default)]
pub(crate) struct Dates {
    second: u64,
    text: String,
}

impl Dates {
    /// `now` as a header tells it. A clock that shows no such time is taken to stand at the start of 1970.
    pub(crate) fn text(&mut self, now: SystemTime) -> &str {
        let second = seconds(now).unwrap_or(0);
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text = format(second).to_string();
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_changes_with_the_second() {
        let mut dates = Dates::default();
        let mut at = |millis| dates.text(UNIX_EPOCH + Duration::from_millis(millis)).to_owned();
        assert_eq!(at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(at(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778_000), "Sun, 06 Nov 1994 08:49:38 GMT");
    }

    #[test]
    fn times_that_no_header_can_tell() {
        let mut dates = Dates::default();
        for time in [
            UNIX_EPOCH - Duration::from_nanos(1),
            UNIX_EPOCH + Duration::from_secs(END),
        ] {
            assert_eq!(seconds(time), None);
            assert_eq!(dates.text(time), "Thu, 01 Jan 1970 00:00:00 GMT");
        }
        let last = seconds(UNIX_EPOCH + Duration::from_secs(END - 1)).unwrap();
        assert_eq!(format(last).to_string(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn all_three_forms_are_understood() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(date), Some(784_111_777), "{date}");
        }
        assert_eq!(parse("yesterday"), None);
    }
}
