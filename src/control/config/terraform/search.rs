//! The state and the limits of a search for the resources that an argument refers to.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use super::super::document::{Table, Value};
use super::address::{Address, AddressPart};

/// The maximum number of references that are followed for one argument.
const MAX_REFERENCES: usize = 10_000;

/// The maximum number of references that are followed for all arguments of a document.
pub(super) const MAX_REFERENCES_OF_DOCUMENT: usize = 500_000;

/// The resources that an argument may refer to.
pub(super) struct Search {
    /// Types of resources with the argument as an attribute.
    pub(super) kinds: &'static [&'static str],
    /// Addresses, and values that the user gives.
    pub(super) found: BTreeSet<String>,
    /// Whether a local was met that can refer to several resources.
    pub(super) has_unknown_local: bool,
    pub(super) references_left: usize,
}

impl Search {
    /// A search for the resource that an argument of that name refers to, if this many references
    /// are left for the document.
    pub(super) fn new(argument: &str, of_document: usize) -> Self {
        Self {
            kinds: kinds_of(argument),
            found: BTreeSet::new(),
            has_unknown_local: false,
            references_left: of_document.min(MAX_REFERENCES),
        }
    }

    /// A search for the same types, with the references that are left.
    pub(super) const fn inner(&self) -> Self {
        let (kinds, references_left) = (self.kinds, self.references_left);
        Self { kinds, found: BTreeSet::new(), has_unknown_local: false, references_left }
    }

    /// Whether a resource has one of the types.
    pub(super) fn is_wanted(&self, address: &str) -> bool {
        self.kinds.contains(&Address::of(address).kind())
    }

    /// Counts references. Returns whether the limits of the argument and the document permit them.
    pub(super) fn spend(&mut self, references: usize, of_document: &Cell<usize>) -> bool {
        let left = of_document.get().saturating_sub(references);
        of_document.set(left);
        self.references_left = self.references_left.saturating_sub(references).min(left);
        !self.is_exhausted()
    }

    /// Whether a limit is reached, so that resources may be missing.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.references_left == 0
    }
}

/// Types of resources that an argument may refer to.
fn kinds_of(argument: &str) -> &'static [&'static str] {
    match argument {
        "traffic_mirror_filter_id" => &["aws_ec2_traffic_mirror_filter"],
        "traffic_mirror_target_id" => &["aws_ec2_traffic_mirror_target"],
        "network_load_balancer_arn" => &["aws_lb", "aws_alb"],
        "gateway_load_balancer_endpoint_id" => &["aws_vpc_endpoint"],
        _ => &["aws_network_interface", "aws_instance", "aws_spot_instance_request"],
    }
}

/// The scope of an expression.
#[derive(Clone, Copy)]
pub(super) struct ModuleScope<'w, 'n, 'a> {
    pub(super) modules: &'w [AddressPart<'n>],
    /// The index of the instance whose block or module call has the expression.
    pub(super) index: &'n str,
    /// The index of the instances that blocks without an index stand for, if it is known.
    pub(super) key: &'n str,
    /// The block or module call, which may have `for_each`.
    pub(super) block: Option<&'n Table<'a>>,
}

/// The blocks of resources in the configuration of a plan.
pub(super) struct Blocks<'n, 'a> {
    /// By the place of the module in memory, and the address in the module.
    by_module: HashMap<(usize, &'n str), &'n Table<'a>>,
}

impl<'n, 'a> Blocks<'n, 'a> {
    /// The blocks of a root module and all modules that it calls.
    pub(super) fn new(root: Option<&'n Table<'a>>) -> Self {
        let mut by_module = HashMap::new();
        let mut modules: Vec<&'n Table<'a>> = root.into_iter().collect();
        while let Some(module) = modules.pop() {
            for block in module.tables("resources") {
                if let Some(address) = block.string("address") {
                    by_module.entry((place(module), address)).or_insert(block);
                }
            }
            let calls = module.table("module_calls").map_or(&[][..], |calls| &calls.entries);
            modules.extend(calls.iter().filter_map(|call| match &call.value.value {
                Value::Table(call) => call.table("module"),
                _ => None,
            }));
        }
        Self { by_module }
    }

    /// The block at an address in a module.
    pub(super) fn get(&self, module: &Table<'_>, address: &str) -> Option<&'n Table<'a>> {
        self.by_module.get(&(place(module), address)).copied()
    }
}

fn place(module: &Table<'_>) -> usize {
    std::ptr::from_ref(module).addr()
}
