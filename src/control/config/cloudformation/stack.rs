//! The stacks of a configuration: templates, their nested stacks, and limits of their evaluation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::Path;

use super::super::document::{Node, SourcePosition, Value};
use super::super::parameter_values::ParameterValues;
use super::section::Section;

/// The units of work of a whole configuration: a hundred for each function, and one for each byte
/// of text. Templates in use need less than a hundredth of it.
const MAX_WORK: usize = 100_000_000;

/// The units of work of one function.
pub(super) const WORK_PER_FUNCTION: usize = 100;

/// A template with its sections.
pub(super) struct Stack<'a> {
    pub(super) position: SourcePosition,
    /// The name of the file.
    pub(super) file: String,
    /// The name of the stack: `AWS::StackName`.
    pub(super) name: String,
    /// What precedes the logical ids of a nested stack: `Nested.`.
    pub(super) prefix: String,
    /// The stack that nests this one, and the `Parameters` that it gives.
    pub(super) outer: Option<OuterStack<'a>>,
    /// Why it is not known whether the stack, or one that nests it, is created.
    pub(super) unknown_condition: Option<UnknownCondition>,
    pub(super) parameters: Section<'a>,
    pub(super) mappings: Section<'a>,
    pub(super) conditions: Section<'a>,
    pub(super) resources: Section<'a>,
    pub(super) outputs: Section<'a>,
    /// The indices of nested stacks by logical id.
    pub(super) nested: BTreeMap<String, usize>,
}

/// A condition of a nested stack that cannot be evaluated.
#[derive(Clone)]
pub(super) struct UnknownCondition {
    pub(super) position: SourcePosition,
    /// The error.
    pub(super) message: String,
}

/// The stack that nests another one.
pub(super) struct OuterStack<'a> {
    pub(super) index: usize,
    pub(super) parameters: Option<Node<'a>>,
}

impl<'a> Stack<'a> {
    /// The stack of a template that is not nested.
    pub(super) fn new(root: &Node<'a>, file: String) -> Self {
        let stem = Path::new(&file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let mut stack = Self {
            position: root.position,
            name: stem.unwrap_or_default(),
            file,
            prefix: String::new(),
            outer: None,
            unknown_condition: None,
            parameters: Section::empty(),
            mappings: Section::empty(),
            conditions: Section::empty(),
            resources: Section::empty(),
            outputs: Section::empty(),
            nested: BTreeMap::new(),
        };
        stack.set_sections(root);
        stack
    }

    /// The name of a resource or parameter in all stacks: `Nested.Name`.
    pub(super) fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Reads the sections of a template.
    pub(super) fn set_sections(&mut self, root: &Node<'a>) {
        let section = |key: &str| match &root.value {
            Value::Table(table) => {
                table.table(key).cloned().map_or_else(Section::empty, Section::new)
            }
            _ => Section::empty(),
        };
        self.parameters = section("Parameters");
        self.mappings = section("Mappings");
        self.conditions = section("Conditions");
        self.resources = section("Resources");
        self.outputs = section("Outputs");
    }
}

/// All stacks of a configuration.
pub(super) struct Stacks<'v, 'a> {
    pub(super) all: Vec<Stack<'a>>,
    pub(super) values: &'v ParameterValues,
    work_left: Cell<usize>,
    assumed: RefCell<BTreeMap<String, String>>,
}

impl<'v, 'a> Stacks<'v, 'a> {
    pub(super) const fn new(values: &'v ParameterValues) -> Self {
        Self {
            all: Vec::new(),
            values,
            work_left: Cell::new(MAX_WORK),
            assumed: RefCell::new(BTreeMap::new()),
        }
    }

    /// Counts the work of one function or node with a text of that length. Returns whether the
    /// configuration is still below the limit.
    pub(super) fn spend(&self, text_len: usize) -> bool {
        let left = self.work_left.get().checked_sub(text_len.saturating_add(WORK_PER_FUNCTION));
        self.work_left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// Records that a value of the deployment that is not given determines what is read.
    pub(super) fn assume(&self, name: &str, value: &str) {
        self.assumed.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// The recorded names and values.
    pub(super) fn assumed(&self) -> BTreeMap<String, String> {
        self.assumed.borrow().clone()
    }
}
