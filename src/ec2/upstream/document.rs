//! Reads the XML documents of the other emulator, and adds own elements to them.
//!
//! A document that is returned to a client is changed as text, so that everything else in it stays
//! as the emulator wrote it.

use std::ops::Range;

use roxmltree::{Document, Node};

/// The list in the response of a Describe action.
#[derive(Debug, Clone, Copy)]
pub(in crate::ec2) struct Set {
    /// The name of its element.
    pub(in crate::ec2) name: &'static str,
    /// The elements of an item that identify it.
    pub(in crate::ec2) keys: &'static [&'static str],
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ec2) struct Item {
    /// The texts of the identifying elements.
    pub(in crate::ec2) key: Vec<String>,
    /// The element `item` with its content.
    xml: String,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ec2) struct Page {
    pub(in crate::ec2) items: Vec<Item>,
    /// The token of the next page, if there is one.
    pub(in crate::ec2) token: Option<String>,
}

impl Set {
    /// The page in a document; `None` if it is not well-formed XML.
    pub(in crate::ec2) fn page(&self, document: &str) -> Option<Page> {
        let parsed = Document::parse(document).ok()?;
        let root = parsed.root_element();
        let items = child(root, self.name).map(|set| elements(set).collect::<Vec<_>>());
        let items = items.unwrap_or_default().into_iter().filter_map(|item| {
            let key = self.keys.iter().map(|key| child_text(item, key).unwrap_or_default());
            Some(Item { key: key.collect(), xml: document.get(item.range())?.to_owned() })
        });
        let token = child_text(root, "nextToken").filter(|token| !token.is_empty());
        Some(Page { items: items.collect(), token })
    }

    /// The document with further items in the list, and with this token of the next page. `None` if
    /// it is not well-formed XML.
    pub(in crate::ec2) fn merge(
        &self,
        document: &str,
        items: &[Item],
        token: Option<&str>,
    ) -> Option<String> {
        self.edit(document, true, items, token)
    }

    /// The document with these items in the list instead of its own, and with this token of the
    /// next page. `None` if it is not well-formed XML.
    pub(in crate::ec2) fn replace(
        &self,
        document: &str,
        items: &[Item],
        token: Option<&str>,
    ) -> Option<String> {
        self.edit(document, false, items, token)
    }

    fn edit(
        &self,
        document: &str,
        keeps_items: bool,
        items: &[Item],
        token: Option<&str>,
    ) -> Option<String> {
        let parsed = Document::parse(document).ok()?;
        let root = parsed.root_element();
        let further: String = items.iter().map(|item| &*item.xml).collect();
        let token = token.map(|token| format!("<nextToken>{}</nextToken>", escaped(token)));
        let token = token.unwrap_or_default();
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        edits.extend(child(root, "nextToken").map(|old| (old.range(), String::new())));
        let name = self.name;
        match child(root, name) {
            Some(set) => {
                let first = set.first_child().map(|child| child.range().start);
                let last = set.last_child().map(|child| child.range().end);
                let inner = first.zip(last).filter(|_| keeps_items);
                let inner = inner.map(|(first, last)| first..last);
                let inner = inner.map_or(Some(""), |range| document.get(range))?;
                let list = format!("<{name}>{inner}{further}</{name}>{token}");
                edits.push((set.range(), list));
            }
            None => {
                let end = document.get(..root.range().end)?.rfind("</")?;
                edits.push((end..end, format!("<{name}>{further}</{name}>{token}")));
            }
        }
        Some(edited(document, edits))
    }
}

/// The document of an error with a sentence after its message; `None` if it has no message.
pub(in crate::ec2) fn append_to_message(document: &str, sentence: &str) -> Option<String> {
    let parsed = Document::parse(document).ok()?;
    let message = parsed.descendants().find(|node| node.has_tag_name_of("Message"))?;
    let text = message.text().unwrap_or_default();
    let text = match text.ends_with('.') || text.is_empty() {
        true => format!("{text} {sentence}"),
        false => format!("{text}. {sentence}"),
    };
    let element = format!("<Message>{}</Message>", escaped(text.trim_start()));
    Some(edited(document, vec![(message.range(), element)]))
}

/// The code and message of the document of an error.
pub(super) fn error_of(document: &str) -> Option<String> {
    let code = first_text(document, "Code")?;
    let message = first_text(document, "Message").unwrap_or_default();
    Some(format!("{code}: {message}"))
}

/// The text of the first element of this name.
pub(super) fn first_text(document: &str, name: &str) -> Option<String> {
    let parsed = Document::parse(document).ok()?;
    let node = parsed.descendants().find(|node| node.has_tag_name_of(name))?;
    node.text().map(|text| text.trim().to_owned())
}

/// The child element of this name, in any namespace.
pub(super) fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name_of(name))
}

/// The text of the child element of this name.
pub(super) fn child_text(node: Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name).map(|child| child.text().unwrap_or_default().trim().to_owned())
}

/// The child elements of a list, which are called `item` or `member`.
pub(super) fn elements<'a, 'input>(list: Node<'a, 'input>) -> impl Iterator<Item = Node<'a, 'input>>
where
    'input: 'a,
{
    list.children().filter(Node::is_element)
}

/// The elements of the list of this name, anywhere in a document.
pub(super) fn elements_of<'a, 'input>(
    document: &'a Document<'input>,
    list: &str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    let lists = document.descendants().filter(move |node| node.has_tag_name_of(list));
    lists.flat_map(elements)
}

trait LocalName {
    /// Whether this is an element of this name, in any namespace.
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn edited(document: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut text = document.to_owned();
    for (range, replacement) in edits.into_iter().rev() {
        text.replace_range(range, &replacement);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: Set = Set { name: "tagSet", keys: &["resourceId", "key"] };

    fn item(id: &str) -> String {
        format!("<item><resourceId>{id}</resourceId><key>k</key></item>")
    }

    fn response(content: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<R xmlns=\"urn:x\"><requestId>a&amp;b</requestId>{content}</R>"
        )
    }

    #[test]
    fn items_are_added_to_a_list_and_the_rest_stays() {
        let own = TAGS.page(&response(&format!("<tagSet>{}</tagSet>", item("tmf-1")))).unwrap();
        assert_eq!((&own.items[0].key[..], &own.token), (&["tmf-1".into(), "k".into()][..], &None));
        for list in [
            format!("<tagSet>{}</tagSet><nextToken>old</nextToken>", item("i-1")),
            format!("<nextToken>old</nextToken><tagSet>\n{}</tagSet>", item("i-1")),
            "<tagSet/>".to_owned(),
            "<tagSet></tagSet>".to_owned(),
            String::new(),
        ] {
            let merged = TAGS.merge(&response(&list), &own.items, Some("a<b")).unwrap();
            let page = TAGS.page(&merged).unwrap();
            assert_eq!(page.token.as_deref(), Some("a<b"), "{merged}");
            assert_eq!(page.items.len(), 1 + list.matches("<item>").count(), "{merged}");
            assert_eq!(page.items.last(), own.items.last(), "{merged}");
            assert!(merged.contains("<requestId>a&amp;b</requestId>"), "{merged}");
            let merged = TAGS.merge(&response(&list), &[], None).unwrap();
            assert_eq!(TAGS.page(&merged).unwrap().token, None, "{merged}");
            let replaced = TAGS.replace(&response(&list), &own.items, None).unwrap();
            assert_eq!(TAGS.page(&replaced).unwrap().items, own.items, "{replaced}");
        }
    }

    #[test]
    fn a_sentence_is_added_to_the_message_of_an_error() {
        let error = |message: &str| {
            response(&format!("<Errors><Error><Code>X</Code>{message}</Error></Errors>"))
        };
        for (message, expected) in [
            ("<Message>The ID &lt;x&gt; is wrong</Message>", "X: The ID <x> is wrong. No &."),
            ("<Message>Stop.</Message>", "X: Stop. No &."),
            ("<Message/>", "X: No &."),
        ] {
            let longer = append_to_message(&error(message), "No &.").unwrap();
            assert_eq!(error_of(&longer).unwrap(), expected);
        }
        assert_eq!(append_to_message(&error(""), "x"), None);
        assert_eq!(error_of("not XML"), None);
    }

    #[test]
    fn malformed_documents_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"x\">]><a>&b;</a>";
        for text in ["", "<a>", "{}", "<a/><b/>", bomb] {
            assert_eq!(TAGS.page(text), None, "{text}");
            assert_eq!(TAGS.merge(text, &[], None), None, "{text}");
            assert_eq!(first_text(text, "a"), None, "{text}");
        }
        assert_eq!(TAGS.merge("<a/>", &[], None), None);
    }
}
