//! Conditional requests (RFC 9110, 13).

use std::fmt;
use std::fs::Metadata;
use std::time::{SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

use crate::date;
use crate::request::Conditions;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    /// In seconds since 1970, if a header can tell them.
    modified: Option<u64>,
    nanos: u32,
    length: u64,
}

/// What the conditions of a request make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Proceed,
    /// The peer has this state of the file already.
    NotModified,
    /// The peer wanted to go on with another state of the file.
    Failed,
}

impl Validators {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self::new(metadata.modified().unwrap_or(UNIX_EPOCH), metadata.len())
    }

    fn new(modified: SystemTime, length: u64) -> Self {
        let nanos = modified
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        Self {
            modified: date::seconds(modified),
            nanos,
            length,
        }
    }

    /// The `ETag`, quotes included.
    pub(crate) fn tag(&self) -> impl fmt::Display {
        let Self {
            modified,
            nanos,
            length,
        } = *self;
        fmt::from_fn(move |f| write!(f, "\"{:x}-{nanos:x}-{length:x}\"", modified.unwrap_or(0)))
    }

    /// The value of `Last-Modified`.
    pub(crate) fn date(&self) -> Option<HttpDate> {
        self.modified.map(date::format)
    }

    /// Evaluates the conditions in the order the standard gives (RFC 9110, 13.2.2). What cannot be understood does not
    /// count.
    pub(crate) fn judge(&self, conditions: &Conditions) -> Verdict {
        if let Some(tags) = &conditions.if_match {
            if !self.is_among(tags, Strength::Strong) {
                return Verdict::Failed;
            }
        } else if self.is_modified_since(conditions.if_unmodified_since.as_deref()) == Some(true) {
            return Verdict::Failed;
        }
        let unchanged = if let Some(tags) = &conditions.if_none_match {
            self.is_among(tags, Strength::Weak)
        } else {
            self.is_modified_since(conditions.if_modified_since.as_deref()) == Some(false)
        };
        if unchanged {
            Verdict::NotModified
        } else {
            Verdict::Proceed
        }
    }

    /// Whether a range may be taken from the file in this state: `If-Range` names it, by tag or by exact date.
    pub(crate) fn allow_range(&self, if_range: Option<&str>) -> bool {
        match if_range {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == self.tag().to_string(),
            Some(date) => self.modified.is_some() && self.modified == date::parse(date),
        }
    }

    /// `None` if there is no date on one side or the other.
    fn is_modified_since(&self, date: Option<&str>) -> Option<bool> {
        Some(self.modified? > date::parse(date?)?)
    }

    fn is_among(&self, tags: &str, strength: Strength) -> bool {
        let own = self.tag().to_string();
        // No comma is in a tag of ours, so splitting those of others does no harm.
        tags.split(',').map(str::trim).any(|tag| match strength {
            _ if tag == "*" => true,
            Strength::Strong => tag == own,
            Strength::Weak => tag.strip_prefix("W/").unwrap_or(tag) == own,
        })
    }
}

/// How tags are compared: a weak one (`W/"…"`) names contents of the same meaning, not of the same bytes.
#[derive(Clone, Copy)]
enum Strength {
    Strong,
    Weak,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn file() -> Validators {
        Validators::new(UNIX_EPOCH + Duration::from_millis(784_111_777_500), 4096)
    }

    fn judge(name: &str, value: &str) -> Verdict {
        let mut conditions = Conditions::default();
        let value = Some(value.into());
        match name {
            "if-match" => conditions.if_match = value,
            "if-none-match" => conditions.if_none_match = value,
            "if-modified-since" => conditions.if_modified_since = value,
            "if-unmodified-since" => conditions.if_unmodified_since = value,
            _ => panic!("{name}"),
        }
        file().judge(&conditions)
    }

    #[test]
    fn dates() {
        assert_eq!(file().date().unwrap().to_string(), DATE);
        assert_eq!(judge("if-modified-since", BEFORE), Verdict::Proceed);
        assert_eq!(judge("if-modified-since", DATE), Verdict::NotModified);
        assert_eq!(judge("if-modified-since", AFTER), Verdict::NotModified);
        assert_eq!(
            judge("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT"),
            Verdict::NotModified
        );
        assert_eq!(judge("if-modified-since", "yesterday"), Verdict::Proceed);
        assert_eq!(judge("if-unmodified-since", BEFORE), Verdict::Failed);
        assert_eq!(judge("if-unmodified-since", DATE), Verdict::Proceed);
        assert_eq!(judge("if-unmodified-since", "tomorrow"), Verdict::Proceed);
    }

    #[test]
    fn tags() {
        let tag = file().tag().to_string();
        assert!(
            tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"') && !tag.contains(','),
            "{tag}"
        );
        for (list, weak, strong) in [
            (tag.clone(), true, true),
            (format!("\"x\", {tag}"), true, true),
            (format!("W/{tag}"), true, false),
            ("*".to_owned(), true, true),
            ("\"x\", W/\"y\"".to_owned(), false, false),
            (tag.trim_matches('"').to_owned(), false, false),
            (String::new(), false, false),
        ] {
            assert_eq!(judge("if-none-match", &list) == Verdict::NotModified, weak, "{list}");
            assert_eq!(judge("if-match", &list) == Verdict::Proceed, strong, "{list}");
        }
    }

    #[test]
    fn tags_count_before_dates() {
        let tag: Option<Box<str>> = Some(file().tag().to_string().into());
        let other: Option<Box<str>> = Some("\"x\"".into());
        let date: Option<Box<str>> = Some(DATE.into());
        let before: Option<Box<str>> = Some(BEFORE.into());
        let changed = Conditions {
            if_none_match: other.clone(),
            if_modified_since: date.clone(),
            ..Default::default()
        };
        assert_eq!(file().judge(&changed), Verdict::Proceed);
        let same = Conditions {
            if_match: tag.clone(),
            if_unmodified_since: before,
            ..Default::default()
        };
        assert_eq!(file().judge(&same), Verdict::Proceed);
        let failed = Conditions {
            if_match: other,
            if_none_match: tag,
            ..Default::default()
        };
        assert_eq!(file().judge(&failed), Verdict::Failed);
    }

    #[test]
    fn ranges_need_the_exact_state() {
        let tag = file().tag().to_string();
        for (if_range, allowed) in [
            (None, true),
            (Some(&*tag), true),
            (Some(&*format!("W/{tag}")), false),
            (Some("\"x\""), false),
            (Some(DATE), true),
            (Some(BEFORE), false),
            (Some(AFTER), false),
            (Some("nonsense"), false),
        ] {
            assert_eq!(file().allow_range(if_range), allowed, "{if_range:?}");
        }
    }

    #[test]
    fn every_change_changes_the_tag() {
        let tag = |modified, length| Validators::new(modified, length).tag().to_string();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        assert_ne!(tag(now, 1), tag(now, 2));
        assert_ne!(tag(now, 1), tag(now + Duration::from_nanos(1), 1));
        assert_ne!(tag(now, 1), tag(now + Duration::from_secs(1), 1));
    }

    #[test]
    fn files_from_before_1970_have_no_date() {
        let validators = Validators::new(UNIX_EPOCH - Duration::from_millis(1500), 1);
        assert_eq!(validators.date(), None);
        assert_eq!(validators.tag().to_string(), "\"0-0-1\"");
        let since = Conditions {
            if_modified_since: Some(DATE.into()),
            ..Default::default()
        };
        assert_eq!(validators.judge(&since), Verdict::Proceed);
        assert!(!validators.allow_range(Some(DATE)));
        assert!(!validators.allow_range(Some("nonsense")));
    }
}
