//! Writes XML responses: nested elements with escaped text.

use std::fmt::{Display, Write as _};

/// A document under construction.
#[derive(Debug, Default)]
pub(super) struct Xml(String);

impl Xml {
    /// A document with this root element.
    pub(super) fn document(root: &str, namespace: Option<&str>) -> Self {
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        // Writing to a string never fails, here and below.
        let _ = match namespace {
            Some(namespace) => write!(text, "<{root} xmlns=\"{namespace}\">"),
            None => write!(text, "<{root}>"),
        };
        Self(text)
    }

    /// An element with content, or an empty-element tag if there is no content.
    pub(super) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}>");
        let begin = self.0.len();
        content(self);
        if self.0.len() == begin {
            self.0.truncate(begin - 1);
            self.0.push_str("/>");
        } else {
            let _ = write!(self.0, "</{name}>");
        }
    }

    /// An element with text.
    pub(super) fn text(&mut self, name: &str, value: impl Display) {
        self.element(name, |xml| xml.escape(&value.to_string()));
    }

    /// An element if there is a value.
    pub(super) fn optional(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// A list of `item` elements, present even if it is empty.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.element(name, |xml| {
            for item in items {
                xml.element("item", |xml| write(xml, item));
            }
        });
    }

    /// Closes the root element and returns the document.
    pub(super) fn end(mut self, root: &str) -> String {
        let _ = write!(self.0, "</{root}>");
        self.0
    }

    fn escape(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\r' => self.0.push_str("&#13;"),
                // XML 1.0, section 2.2, does not allow these characters.
                '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' => {
                    self.0.push('\u{fffd}');
                }
                '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                letter => self.0.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_empty_elements_are_written() {
        let mut xml = Xml::document("R", Some("urn:x"));
        xml.text("a", "<&>\"\u{1}\r");
        xml.text("b", "");
        xml.optional("c", None::<u8>);
        xml.list("d", [1, 2], |xml, one| xml.text("e", one));
        xml.list("f", [0; 0], |xml, one| xml.text("e", one));
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\">";
        let body = "<a>&lt;&amp;&gt;&quot;\u{fffd}&#13;</a><b/>\
                    <d><item><e>1</e></item><item><e>2</e></item></d><f/></R>";
        assert_eq!(xml.end("R"), format!("{head}{body}"));
    }
}
