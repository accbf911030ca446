//! Reads the documents that templates name.

use super::super::collector::ProblemCollector;
use super::super::document::{Node, SourcePosition};
use super::super::template_files::TemplateFiles;
use super::super::texts::Format;
use super::super::{json_text, yaml_text};

/// The maximum depth of nested stacks and of includes.
pub(super) const MAX_DEPTH: usize = 8;

/// Reads files and reports those that cannot be read.
pub(super) struct Loader<'l, 't> {
    pub(super) files: &'l TemplateFiles,
    pub(super) out: &'l mut ProblemCollector<'t>,
}

impl Loader<'_, '_> {
    /// The name and the document of the file that `template` names.
    ///
    /// # Errors
    /// A reason why it cannot be read.
    pub(super) fn read(
        &mut self,
        template: &str,
        location: &str,
    ) -> Result<(String, Node<'static>), String> {
        let (name, text) = self.files.find(template, location)?;
        let format = match Format::of_name(&name).unwrap_or_else(|| Format::of_content(&text)) {
            Format::AwsJson => Format::AwsJson,
            _ => Format::Yaml,
        };
        let index = self.out.add_text(name.clone(), format, text.clone());
        let root = match format {
            Format::AwsJson => json_text::read(index, &text),
            _ => yaml_text::read(index, &text),
        };
        match root {
            Ok(root) => Ok((name, root.into_static())),
            Err((offset, message)) => {
                let position = SourcePosition { text: index, offset };
                self.out.report_syntax_error(position, message);
                Err("it has a syntax error".to_owned())
            }
        }
    }
}
