//! Splits Rust source into words, marks and paths for the architecture tests, without comments and
//! without the content of strings.

/// A word or a mark of the code, with its line, counted from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A path such as `crate::model::Filter`, `super` and groups resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

/// The code of `source` as words and marks; `::` is one mark, every other is one character.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut reader = Reader { chars: &chars, at: 0, line: 1, tokens: Vec::new() };
    while reader.at < chars.len() {
        reader.step();
    }
    reader.tokens
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == '\n');
            self.at += 1;
        }
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.skip_while(|c| c != '\n'),
            ('/', '*') => self.skip_block_comment(),
            ('"', _) => self.skip_string(),
            ('\'', _) => self.skip_char_or_lifetime(),
            (first, _) if first.is_alphanumeric() || first == '_' => self.word(),
            (':', ':') => self.mark("::"),
            (first, _) if first.is_whitespace() => self.skip(1),
            (first, _) => self.mark(&first.to_string()),
        }
    }

    fn mark(&mut self, text: &str) {
        self.tokens.push(Token { line: self.line, text: text.to_owned() });
        self.skip(text.len());
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.at < self.chars.len() && wanted(self.peek(0)) {
            self.skip(1);
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.skip(1);
        while self.at < self.chars.len() && self.peek(0) != '"' {
            self.skip(if self.peek(0) == '\\' { 2 } else { 1 });
        }
        self.skip(1);
    }

    fn skip_raw_string(&mut self, hashes: usize) {
        self.skip(hashes + 1);
        let closes = |reader: &Self| {
            reader.peek(0) == '"' && (1..=hashes).all(|ahead| reader.peek(ahead) == '#')
        };
        while self.at < self.chars.len() && !closes(self) {
            self.skip(1);
        }
        self.skip(hashes + 1);
    }

    fn skip_char_or_lifetime(&mut self) {
        if self.peek(1) == '\\' {
            self.skip(3);
            self.skip_while(|c| c != '\'');
            self.skip(1);
        } else if self.peek(2) == '\'' {
            self.skip(3);
        } else {
            self.skip(1);
        }
    }

    fn word(&mut self) {
        let (line, start) = (self.line, self.at);
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        let text: String = self.chars[start..self.at].iter().collect();
        let hashes = (0..).take_while(|ahead| self.peek(*ahead) == '#').count();
        let raw = matches!(text.as_str(), "r" | "br" | "cr");
        if raw && self.peek(hashes) == '"' {
            self.skip_raw_string(hashes);
        } else if raw && hashes == 1 {
            self.skip(1); // a raw identifier: the word follows
        } else {
            self.tokens.push(Token { line, text });
        }
    }
}

/// All paths of a file whose module is `module` (`["model", "filter"]` for src/model/filter.rs).
/// Paths into the crate begin with `crate`.
pub(crate) fn paths(tokens: &[Token], module: &[&str]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut inline: Vec<(usize, String)> = Vec::new(); // brace depth outside of it, its name
    let mut depth = 0;
    for at in 0..tokens.len() {
        match text(tokens, at) {
            "{" => {
                if at >= 2 && text(tokens, at - 2) == "mod" {
                    inline.push((depth, text(tokens, at - 1).to_owned()));
                }
                depth += 1;
            }
            "}" => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|(outside, _)| *outside == depth);
            }
            _ if starts_a_path(tokens, at) => {
                let names = module.iter().map(|name| (*name).to_owned());
                let inner = inline.iter().map(|(_, name)| name.clone());
                let here: Vec<String> = names.chain(inner).collect();
                expand(tokens, at, Vec::new(), &here, &mut found);
            }
            _ => {}
        }
    }
    found
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| token.text.as_str())
}

fn starts_a_path(tokens: &[Token], at: usize) -> bool {
    let before = at.checked_sub(1).map_or("", |before| text(tokens, before));
    let word = |text: &str| text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    word(text(tokens, at)) && before != "::" && (text(tokens, at + 1) == "::" || before == "use")
}

/// Expands one tree of paths that begins at the token `at`; returns the index behind it.
fn expand(
    tokens: &[Token],
    mut at: usize,
    mut segments: Vec<String>,
    here: &[String],
    found: &mut Vec<Path>,
) -> usize {
    let line = tokens.get(at).map_or(0, |token| token.line);
    loop {
        match text(tokens, at) {
            "{" => return expand_group(tokens, at, &segments, here, found),
            "crate" | "traffic_mirror" => segments = vec!["crate".to_owned()],
            "self" if segments.is_empty() => segments = absolute(here),
            "super" if segments.is_empty() => {
                segments = absolute(here);
                segments.truncate(segments.len().max(2) - 1);
            }
            "super" => segments.truncate(segments.len().max(2) - 1),
            other => segments.push(other.to_owned()),
        }
        at += 1;
        let goes_on = text(tokens, at) == "::" && text(tokens, at + 1) != "<";
        if !goes_on {
            found.push(Path { line, segments });
            return at;
        }
        at += 1;
    }
}

fn expand_group(
    tokens: &[Token],
    mut at: usize,
    segments: &[String],
    here: &[String],
    found: &mut Vec<Path>,
) -> usize {
    at += 1;
    while at < tokens.len() && text(tokens, at) != "}" {
        at = match text(tokens, at) {
            "," | "::" => at + 1,
            "as" => at + 2,
            _ => expand(tokens, at, segments.to_vec(), here, found),
        };
    }
    at + 1
}

fn absolute(here: &[String]) -> Vec<String> {
    std::iter::once("crate".to_owned()).chain(here.iter().cloned()).collect()
}
