//! Rust source, taken apart as far as the checks need it.

use std::ops::Range;

/// A Rust file in which code is told from comments and literals, and tests from what they test.
#[derive(Debug)]
pub(super) struct Source {
    /// The text, byte for byte in place, with every comment made of blanks and the inside of every literal of quotes.
    code: String,
    /// The items under `#[cfg(test)]`.
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        let mut source = Self {
            code: mask(text),
            tests: Vec::new(),
        };
        let tests = source
            .attributes()
            .into_iter()
            .filter(|attribute| is_cfg_test(&source.code[attribute.clone()]));
        source.tests = tests
            .map(|attribute| attribute.start..source.item_end(attribute.end))
            .collect();
        source
    }

    /// The number of the line, from 1, that holds the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self.code[..offset].matches('\n').count()
    }

    /// The number of lines with code on them, tests not counted.
    pub(super) fn code_lines(&self) -> usize {
        let mut start = 0;
        let mut count = 0;
        for line in self.code.split_inclusive('\n') {
            if let Some(indent) = line.find(|c: char| !c.is_whitespace())
                && !self.in_tests(start + indent)
            {
                count += 1;
            }
            start += line.len();
        }
        count
    }

    fn in_tests(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// Where `word` stands in the code as a word of its own.
    pub(super) fn find_word(&self, word: &str) -> Vec<usize> {
        find_word(&self.code, word)
    }

    /// The code in a range that was found in this file.
    pub(super) fn code(&self, range: Range<usize>) -> &str {
        &self.code[range]
    }

    /// The attributes, each from its `#` to behind its `]`.
    pub(super) fn attributes(&self) -> Vec<Range<usize>> {
        let mut attributes = Vec::new();
        for (start, _) in self.code.match_indices('#') {
            let rest = &self.code[start + 1..];
            let bracket = start + 1 + usize::from(rest.starts_with('!'));
            if self.code[bracket..].starts_with('[') {
                attributes.push(start..self.matching(bracket));
            }
        }
        attributes
    }

    /// Whether a function of this name is marked `#[test]`.
    pub(super) fn is_test(&self, function: &str) -> bool {
        let head = format!("fn {function}(");
        let mut marks = self
            .attributes()
            .into_iter()
            .filter(|attribute| &self.code[attribute.clone()] == "#[test]");
        marks.any(|mark| {
            // Further attributes may come in between.
            let item = &self.code[mark.end..];
            item.split(['{', '}', ';'])
                .next()
                .is_some_and(|start| start.contains(&head))
        })
    }

    /// What stands in braces behind `head`, each time that follows it.
    pub(super) fn blocks(&self, head: &str) -> impl Iterator<Item = &str> {
        let ends = self.code.match_indices(head).map(|(start, _)| start + head.len());
        ends.filter_map(|end| {
            let rest = self.code[end..].trim_start();
            let open = self.code.len() - rest.len();
            let block = rest.starts_with('{').then(|| &self.code[open..self.matching(open)])?;
            block.strip_prefix('{')?.strip_suffix('}')
        })
    }

    /// Behind the bracket that closes the one at `open`; the end of the file where none does.
    fn matching(&self, open: usize) -> usize {
        let mut depth = 0;
        for (offset, byte) in self.code.bytes().enumerate().skip(open) {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' if depth == 1 => return offset + 1,
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
        }
        self.code.len()
    }

    /// Where the item ends that begins at `start`, possibly with further attributes: behind its body or its semicolon,
    /// at the latest with what it is a part of.
    fn item_end(&self, start: usize) -> usize {
        let mut offset = start;
        while let Some(byte) = self.code.as_bytes().get(offset) {
            match byte {
                b';' => return offset + 1,
                b'{' => return self.matching(offset),
                b'(' | b'[' => offset = self.matching(offset),
                b')' | b']' | b'}' => return offset,
                _ => offset += 1,
            }
        }
        offset
    }
}

/// Whether an attribute leaves its item out of every build but tests.
fn is_cfg_test(attribute: &str) -> bool {
    let attribute: String = attribute.split_whitespace().collect();
    attribute == "#[cfg(test)]" || attribute.starts_with("#[cfg(all(test,")
}

/// The text without what stands in brackets.
pub(super) fn top_level(text: &str) -> String {
    let mut depth = 0_usize;
    let is_outside = |c: &char| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    text.chars().filter(is_outside).collect()
}

/// Where `word` stands in `text` as a word of its own.
pub(super) fn find_word(text: &str, word: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(start, _)| start)
        .filter(|start| !text[..*start].ends_with(is_part) && !text[start + word.len()..].starts_with(is_part))
        .collect()
}

/// Blanks out comments and fills the inside of literals with quotes. Lines stay where they are.
fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, filler) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), Some(' '))
        } else if rest.starts_with("/*") {
            (block_comment(rest), Some(' '))
        } else if let Some(length) = literal(rest, &masked) {
            (length, Some('"'))
        } else {
            (first.len_utf8(), None)
        };
        let (token, after) = rest.split_at(length);
        match filler {
            Some(filler) => masked.extend(token.bytes().map(|byte| if byte == b'\n' { '\n' } else { filler })),
            None => masked.push_str(token),
        }
        rest = after;
    }
    masked
}

/// The length of the block comment at the start of `text`; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut offset = 0;
    while offset < text.len() {
        let rest = &text.as_bytes()[offset..];
        if rest.starts_with(b"/*") {
            depth += 1;
            offset += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            offset += 2;
            if depth == 0 {
                return offset;
            }
        } else {
            offset += 1;
        }
    }
    text.len()
}

/// The length of the string or character at the start of `text`, behind the code `before`, if there is one.
fn literal(text: &str, before: &str) -> Option<usize> {
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    if let Some(inside) = text.strip_prefix('\'') {
        // A lifetime has no closing quote behind its first character.
        let mut inside = inside.chars();
        let is_character = inside.next() == Some('\\') || inside.next() == Some('\'');
        return is_character.then(|| quoted(text, '\''));
    }
    let in_a_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let hashes = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .filter(|_| !in_a_word)?;
    let body = hashes.trim_start_matches('#');
    let count = hashes.len() - body.len();
    let end = format!("\"{}", "#".repeat(count));
    let length = body
        .strip_prefix('"')?
        .find(&end)
        .map_or(text.len(), |inside| (text.len() - body.len()) + 1 + inside + end.len());
    Some(length)
}

/// The length of the literal at the start of `text` up to its closing `quote`, escapes minded.
fn quoted(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((offset, c)) = characters.next() {
        if c == quote {
            return offset + quote.len_utf8();
        }
        if c == '\\' {
            characters.next();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_masked_in_place() {
        for (text, masked) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("a \"b // \\\" c\" d", "a \"\"\"\"\"\"\"\"\"\"\" d"),
            ("r#\"a\"b\"# c", "\"\"\"\"\"\"\"\" c"),
            ("br\"\\\" c", "\"\"\"\"\" c"),
            ("'\"' 'a '\\'' 'é'", "\"\"\" 'a \"\"\"\" \"\"\"\""),
            ("r#type(\"ß\")", "r#type(\"\"\"\")"),
            ("for\"x\"", "for\"\"\""),
            ("\"a\nb\"", "\"\"\n\"\""),
            ("/* open", "       "),
            ("\"open", "\"\"\"\"\""),
        ] {
            assert_eq!(mask(text), masked, "{text}");
            assert_eq!(mask(text).len(), text.len(), "{text}");
        }
    }

    #[test]
    fn words_are_found_whole_and_in_code_only() {
        let source = Source::new("unsafe { f() } // unsafe\nlet s = \"unsafe\";\n#![forbid(unsafe_code)] unsafe");
        assert_eq!(
            source
                .find_word("unsafe")
                .into_iter()
                .map(|offset| source.line(offset))
                .collect::<Vec<_>>(),
            [1, 3]
        );
    }

    #[test]
    fn code_lines_leave_out_comments_blanks_and_tests() {
        let text = "\
            //! Docs.\n\
            \n\
            use a::b; // 1\n\
            /* no\n\
            code */\n\
            #[cfg(test)] mod far;\n\
            fn f() { // 2\n\
            } // 3\n\
            #[cfg(test)]\n\
            #[derive(Debug)]\n\
            mod tests {\n\
                fn g() { \"}\"; }\n\
            }\n\
            #[cfg(not(test))] // 4\n\
            fn h([a]: [u8; 1]) {} // 5\n";
        assert_eq!(Source::new(text).code_lines(), 5);
    }

    #[test]
    fn a_test_only_field_ends_with_its_struct() {
        assert_eq!(
            Source::new("struct A {\n  b: u8,\n  #[cfg(test)]\n  c: u8,\n}\nfn d() {}\n").code_lines(),
            4
        );
    }

    #[test]
    fn attributes_reach_over_lines() {
        let source = Source::new("#[expect(\n    a,\n    reason = \"]\"\n)]\nfn f() {}\n#![deny(b)]");
        let found: Vec<&str> = source
            .attributes()
            .into_iter()
            .map(|range| source.code(range))
            .collect();
        assert_eq!(found, ["#[expect(\n    a,\n    reason = \"\"\"\n)]", "#![deny(b)]"]);
    }
    #[test]
    fn tests_are_marked() {
        let source = Source::new(
            "// #[test]\nfn a() {}\n#[test]\n#[cfg(any(x, y))]\n/// Docs; more.\nfn b() { c(); }\nfn c() {}\n\
             mod d { #[test] pub fn e(f in [0; 2]) {} }\n#[cfg(test)] fn g() {}",
        );
        let tests = ["a", "b", "c", "e", "g"].map(|function| source.is_test(function));
        assert_eq!(tests, [false, true, false, true, false]);
    }

    #[test]
    fn blocks_stand_behind_their_head() {
        let source = Source::new("all! { a b }\nall!(c); rule! all { d }\nall!{e { f }} // all! { g }\n(all!) all! {");
        assert_eq!(source.blocks("all!").collect::<Vec<_>>(), [" a b ", "e { f }"]);
        assert_eq!(top_level("e { f [g] } h(i) j"), "e  h j");
    }
}
