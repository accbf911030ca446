//! Resolves references in a Terraform plan whose values are known only after it is applied.
//!
//! A reference is followed through variables and outputs of modules, and through `for_each`.
//! Example: in `module.a`, the argument `filter = var.f` refers to the variable `f`. The call of the
//! module sets it to `aws_ec2_traffic_mirror_filter.web[0].id`, so the argument refers to instance 0
//! of that block.
//!
//! A plan lists `x.web["a"].id` as `x.web["a"].id`, `x.web["a"]` and `x.web`, of which only the
//! first counts. It lists `x.web[count.index].id` as `x.web` and `count.index`, so instance 0 of the
//! block with the argument refers to instance 0 of `x.web`. Locals are not in a plan.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use super::super::document::{Table, Value};
use super::super::parameter_values::ParameterValues;
use super::address::{Address, AddressPart, parts};
use super::expression::{KeyOf, has_references, key_of, precise, value_of_each};
use super::search::{Blocks, MAX_REFERENCES_OF_DOCUMENT, ModuleScope, Search};

/// The maximum number of variables and outputs between an argument and a resource. A longer chain
/// is not followed.
pub(super) const MAX_REFERENCE_DEPTH: usize = 16;

/// The maximum number of candidates that an error lists.
const MAX_CANDIDATES: usize = 10;

/// The resource that an argument refers to.
pub(super) enum Resolution {
    /// The argument has no expression.
    Nothing,
    /// The id of one resource, or its address.
    One(String),
    /// Not one resource; the text lists the candidates.
    Ambiguous(String),
}

/// The configuration of a plan and its resources.
pub(super) struct References<'n, 'a> {
    configuration: Option<&'n Table<'a>>,
    values: &'n ParameterValues,
    blocks: Blocks<'n, 'a>,
    /// Ids by address.
    pub(super) ids: HashMap<&'n str, &'n str>,
    /// The addresses of all instances of a block, by the address of the block without an index.
    instances: HashMap<String, Vec<&'n str>>,
    /// The same, by the address of the block without any index.
    in_any_module: HashMap<String, Vec<&'n str>>,
    /// The references that may still be followed.
    pub(super) references_left: Cell<usize>,
}

impl<'n, 'a> References<'n, 'a> {
    /// References in this root module of the configuration of a plan; a state has none.
    pub(super) fn new(configuration: Option<&'n Table<'a>>, values: &'n ParameterValues) -> Self {
        let (ids, instances, in_any_module) = (HashMap::new(), HashMap::new(), HashMap::new());
        let references_left = Cell::new(MAX_REFERENCES_OF_DOCUMENT);
        let blocks = Blocks::new(configuration);
        Self { configuration, values, blocks, ids, instances, in_any_module, references_left }
    }

    /// Adds a resource at this address.
    pub(super) fn put(&mut self, address: &'n str, id: &'n str) {
        if self.ids.insert(address, id).is_none() {
            let parsed = Address::of(address);
            self.instances.entry(parsed.block()).or_default().push(address);
            self.in_any_module.entry(parsed.block_of_any_module()).or_default().push(address);
        }
    }

    /// The resource that an argument of the resource at `address` refers to.
    pub(super) fn of(&self, address: &'n str, argument: &str) -> Resolution {
        let address = Address::of(address);
        let Some(expression) = self.expression(&address, argument) else {
            return Resolution::Nothing;
        };
        let mut search = Search::new(argument, self.references_left.get());
        self.follow(self.scope_of(&address), expression, &mut search, MAX_REFERENCE_DEPTH);
        let kinds = search.kinds;
        if search.found.iter().any(|address| search.is_wanted(address)) {
            search.found.retain(|address| kinds.contains(&Address::of(address).kind()));
        }
        let mut found: BTreeSet<String> =
            search.found.iter().map(|address| self.interface_of(address)).collect();
        if search.is_exhausted() {
            return Resolution::Ambiguous("more references than are followed".to_owned());
        }
        match found.len() {
            0 => Resolution::Ambiguous(
                precise(expression).first().copied().unwrap_or("(known after apply)").into(),
            ),
            1 => Resolution::One(found.pop_first().unwrap_or_default()),
            _ => {
                let shown: Vec<String> = found.into_iter().take(MAX_CANDIDATES).collect();
                Resolution::Ambiguous(shown.join(" or "))
            }
        }
    }

    /// Whether the configuration sets an argument to an expression with references.
    pub(super) fn is_computed(&self, address: &'n str, argument: &str) -> bool {
        let expression = self.expression(&Address::of(address), argument);
        expression.is_some_and(has_references)
    }

    pub(super) fn scope_of<'w>(&self, address: &'w Address<'n>) -> ModuleScope<'w, 'n, 'a> {
        let block = self.block(address);
        ModuleScope { modules: &address.modules, index: address.index, key: "", block }
    }

    /// The expression of an argument in the configuration.
    fn expression(&self, address: &Address<'_>, argument: &str) -> Option<&'n Table<'a>> {
        self.block(address)?.table("expressions")?.table(argument)
    }

    /// The block of a resource in the configuration.
    pub(super) fn block(&self, address: &Address<'_>) -> Option<&'n Table<'a>> {
        self.blocks.get(self.module(&address.modules)?, &address.resource)
    }

    fn module(&self, path: &[AddressPart<'_>]) -> Option<&'n Table<'a>> {
        path.iter().try_fold(self.configuration?, |module, part| {
            module.table("module_calls")?.table(part.name)?.table("module")
        })
    }

    /// Adds to the search the addresses of all resources that an expression refers to.
    pub(super) fn follow(
        &self,
        scope: ModuleScope<'_, 'n, 'a>,
        expression: &'n Table<'a>,
        search: &mut Search,
        depth_left: usize,
    ) {
        let Some(depth_left) = depth_left.checked_sub(1) else { return };
        if search.is_exhausted() {
            return;
        }
        let texts = precise(expression);
        let of_value;
        let key = match key_of(expression) {
            KeyOf::Instance if scope.key.is_empty() => scope.index,
            KeyOf::Nothing | KeyOf::Instance => scope.key,
            KeyOf::Value(path) => {
                of_value = value_of_each(scope.block, scope.index, path);
                of_value.as_deref().unwrap_or_default()
            }
        };
        for text in &texts {
            if !search.spend(1, &self.references_left) {
                return;
            }
            let parts = parts(text);
            let keyed = ModuleScope { key, ..scope };
            match (parts.first().map(|part| part.name), parts.get(1)) {
                (Some("each"), Some(value)) if value.name == "value" && texts.len() == 1 => {
                    let each = scope.block.and_then(|block| block.table("for_each_expression"));
                    if let Some(each) = each {
                        let keyed = ModuleScope { key: scope.index, block: None, ..scope };
                        self.follow(keyed, each, search, depth_left);
                    }
                }
                (Some("each" | "count" | "path" | "self" | "terraform") | None, _) | (_, None) => {}
                (Some("local"), Some(_)) => self.find_local(scope, text, search, depth_left),
                (Some("var"), Some(variable)) => {
                    if let Some((outer, given)) = self.argument_of(&keyed, variable.name) {
                        self.follow(outer, given, search, depth_left);
                    }
                }
                (Some("module"), Some(_)) => self.follow_output(keyed, &parts, search, depth_left),
                _ => self.follow_resources(keyed, text, search, depth_left),
            }
        }
    }

    /// A plan does not contain locals. The user gives the value, or it is the only resource that the
    /// local can refer to: a value that is not known comes from a resource of the plan.
    fn find_local(
        &self,
        scope: ModuleScope<'_, 'n, 'a>,
        text: &str,
        search: &mut Search,
        depth_left: usize,
    ) {
        let name: Vec<&str> = parts(text).iter().take(2).map(|part| part.name).collect();
        if let Some(given) = self.values.value(text).or_else(|| self.values.value(&name.join(".")))
        {
            search.found.insert(given.to_owned());
            return;
        }
        if !search.spend(self.ids.len() / 16, &self.references_left) {
            return;
        }
        let module = module_prefix(scope.modules);
        let unknown = self.ids.iter().filter(|(address, id)| address == id);
        let mut wanted = unknown
            .map(|(address, _)| *address)
            .filter(|address| address.starts_with(&module) && search.is_wanted(address));
        match (wanted.next(), wanted.next()) {
            (Some(only), None) if !self.receives_wanted(scope, search, depth_left) => {
                search.found.insert(only.to_owned());
            }
            _ => search.has_unknown_local = true,
        }
    }

    /// Whether the caller of a module may give it a wanted resource as a variable.
    fn receives_wanted(
        &self,
        scope: ModuleScope<'_, 'n, 'a>,
        search: &mut Search,
        depth_left: usize,
    ) -> bool {
        let Some((last, modules)) = scope.modules.split_last() else { return false };
        let calls = self.module(modules).and_then(|module| module.table("module_calls"));
        let call = calls.and_then(|calls| calls.table(last.name));
        let Some(expressions) = call.and_then(|call| call.table("expressions")) else {
            return false;
        };
        let outer = ModuleScope { modules, index: last.index, key: "", block: call };
        let mut given = search.inner();
        for entry in &expressions.entries {
            if let Value::Table(expression) = &entry.value.value {
                self.follow(outer, expression, &mut given, depth_left);
            }
        }
        search.references_left = given.references_left;
        given.is_exhausted()
            || given.has_unknown_local
            || given.found.iter().any(|address| given.is_wanted(address))
    }

    /// The expression that the caller of a module sets a variable to, with the caller's scope.
    fn argument_of<'w>(
        &self,
        scope: &ModuleScope<'w, 'n, 'a>,
        variable: &str,
    ) -> Option<(ModuleScope<'w, 'n, 'a>, &'n Table<'a>)> {
        let (last, modules) = scope.modules.split_last()?;
        let call = self.module(modules)?.table("module_calls")?.table(last.name)?;
        let given = call.table("expressions")?.table(variable)?;
        Some((ModuleScope { modules, index: last.index, key: scope.key, block: Some(call) }, given))
    }

    /// Follows an output of a module, or all outputs if the plan does not say which one.
    fn follow_output(
        &self,
        scope: ModuleScope<'_, 'n, 'a>,
        parts: &[AddressPart<'n>],
        search: &mut Search,
        depth_left: usize,
    ) {
        let [_, child, rest @ ..] = parts else { return };
        let calls = self.module(scope.modules).and_then(|module| module.table("module_calls"));
        let Some(call) = calls.and_then(|calls| calls.table(child.name)) else { return };
        let has_instances = call.has("count_expression") || call.has("for_each_expression");
        let (mut child, mut key) = (*child, scope.key);
        if has_instances {
            if child.index.is_empty() {
                child.index = key;
            }
            key = "";
        }
        let mut modules = scope.modules.to_vec();
        modules.push(child);
        let Some(outputs) = call.table("module").and_then(|module| module.table("outputs")) else {
            return;
        };
        let inner = ModuleScope { modules: &modules, index: "", key, block: None };
        for entry in &outputs.entries {
            let is_named = rest.first().is_none_or(|output| output.name == entry.key);
            if let Value::Table(output) = &entry.value.value
                && let Some(expression) = output.table("expression").filter(|_| is_named)
            {
                self.follow(inner, expression, search, depth_left);
            }
        }
    }

    /// Adds the referenced resources. If the reference is to an argument with an expression, such as
    /// `aws_network_interface_attachment.a.network_interface_id`, that expression is followed.
    fn follow_resources(
        &self,
        scope: ModuleScope<'_, 'n, 'a>,
        text: &'n str,
        search: &mut Search,
        depth_left: usize,
    ) {
        let own_len = Address::of(text).resource.split('.').count();
        let attribute = parts(text).get(own_len).map(|part| part.name);
        let addresses = self.resources(&scope, text);
        if !search.spend(addresses.len(), &self.references_left) {
            return;
        }
        for address in addresses {
            let known = self.ids.get_key_value(&*address).map(|(address, _)| *address);
            let argument = known.zip(attribute);
            let followed = argument.and_then(|(known, attribute)| {
                let known = Address::of(known);
                let expression = self.expression(&known, attribute);
                expression.filter(|one| has_references(one)).map(|one| (known, one))
            });
            match followed {
                Some((known, expression)) => {
                    self.follow(self.scope_of(&known), expression, search, depth_left);
                }
                None => _ = search.found.insert(address),
            }
        }
    }

    /// The referenced instance if it is known, else all instances of the block.
    fn resources(&self, scope: &ModuleScope<'_, 'n, 'a>, text: &'n str) -> Vec<String> {
        let mut address = Address::of(text);
        address.modules = scope.modules.to_vec();
        let block = address.block();
        let named = |index: &str| Some(format!("{block}{index}")).filter(|one| self.has(one));
        if let Some(exact) = named(address.index) {
            return vec![exact];
        }
        if let Some(instance) = named(scope.key).filter(|_| address.index.is_empty()) {
            return vec![instance];
        }
        let any = || self.in_any_module.get(&address.block_of_any_module());
        match self.instances.get(&block).or_else(any) {
            Some(instances) => instances.iter().map(|address| (*address).to_owned()).collect(),
            // A block without instances has no value.
            None if self.block(&address).is_some() => Vec::new(),
            None => vec![block],
        }
    }

    fn has(&self, address: &str) -> bool {
        self.ids.contains_key(address)
    }
}

/// The beginning of the addresses of the resources in a module.
fn module_prefix(modules: &[AddressPart<'_>]) -> String {
    let parts = modules.iter().map(|module| format!("module.{}{}.", module.name, module.index));
    parts.collect()
}
