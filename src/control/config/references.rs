//! Resolves references in a Terraform plan whose values are known only after it is applied.
//!
//! A reference is followed through variables and outputs of modules. Example: in `module.a`, the
//! argument `filter = var.f` refers to the variable `f`. The call of the module sets it to
//! `aws_ec2_traffic_mirror_filter.web[0].id`, so the argument refers to instance 0 of that block.

use std::collections::{BTreeSet, HashMap};

use super::document::{Table, Value};

/// The maximum number of variables and outputs between an argument and a resource. A longer chain
/// is not followed.
const MAX_REFERENCE_DEPTH: usize = 16;

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
    /// Ids by address.
    ids: HashMap<&'n str, &'n str>,
    /// The addresses of all instances of a block, by the address of the block without an index.
    instances: HashMap<String, Vec<&'n str>>,
}

impl<'n, 'a> References<'n, 'a> {
    /// References in this root module of the configuration of a plan; a state has none.
    pub(super) fn new(configuration: Option<&'n Table<'a>>) -> Self {
        Self { configuration, ids: HashMap::new(), instances: HashMap::new() }
    }

    /// Adds a resource at this address.
    pub(super) fn put(&mut self, address: &'n str, id: &'n str) {
        if self.ids.insert(address, id).is_none() {
            let block = Address::of(address).block();
            self.instances.entry(block).or_default().push(address);
        }
    }

    /// The resource that an argument of the resource at `address` refers to.
    pub(super) fn of(&self, address: &'n str, argument: &str) -> Resolution {
        let address = Address::of(address);
        let Some(expression) = self.expression(&address, argument) else {
            return Resolution::Nothing;
        };
        let mut found = BTreeSet::new();
        self.follow(
            &ModuleScope { modules: &address.modules, index: address.index },
            expression,
            &mut found,
            MAX_REFERENCE_DEPTH,
        );
        match found.len() {
            0 => Resolution::Ambiguous(
                references_in(expression).next().unwrap_or("(known after apply)").into(),
            ),
            1 => Resolution::One(found.pop_first().unwrap_or_default()),
            _ => Resolution::Ambiguous(found.into_iter().collect::<Vec<_>>().join(" or ")),
        }
    }

    /// The expression of an argument in the configuration.
    fn expression(&self, address: &Address<'n>, argument: &str) -> Option<&'n Table<'a>> {
        let module = self.module(&address.modules)?;
        let has_address = |one: &&Table<'_>| one.string("address") == Some(&address.resource);
        let resource = module.tables("resources").find(has_address)?;
        resource.table("expressions")?.table(argument)
    }

    fn module(&self, path: &[AddressPart<'_>]) -> Option<&'n Table<'a>> {
        path.iter().try_fold(self.configuration?, |module, part| {
            module.table("module_calls")?.table(part.name)?.table("module")
        })
    }

    /// Adds to `found` the ids or addresses of all resources that an expression refers to.
    fn follow(
        &self,
        scope: &ModuleScope<'_, 'n>,
        expression: &'n Table<'a>,
        found: &mut BTreeSet<String>,
        depth_left: usize,
    ) {
        if depth_left == 0 {
            return;
        }
        for text in references_in(expression) {
            let parts = parts(text);
            match (parts.first().map(|part| part.name), parts.get(1)) {
                (Some("each" | "count" | "local" | "path" | "self" | "terraform") | None, _)
                | (_, None) => {}
                (Some("var"), Some(variable)) => {
                    if let Some((outer, given)) = self.argument_of(scope, variable.name) {
                        self.follow(&outer, given, found, depth_left - 1);
                    }
                }
                (Some("module"), Some(_)) => self.follow_output(scope, &parts, found, depth_left),
                _ => found.extend(self.resources(scope, text)),
            }
        }
    }

    /// The expression that the caller of a module sets a variable to, with the caller's scope.
    fn argument_of<'w>(
        &self,
        scope: &ModuleScope<'w, 'n>,
        variable: &str,
    ) -> Option<(ModuleScope<'w, 'n>, &'n Table<'a>)> {
        let (last, modules) = scope.modules.split_last()?;
        let call = self.module(modules)?.table("module_calls")?.table(last.name)?;
        let given = call.table("expressions")?.table(variable)?;
        Some((ModuleScope { modules, index: last.index }, given))
    }

    fn follow_output(
        &self,
        scope: &ModuleScope<'_, 'n>,
        parts: &[AddressPart<'n>],
        found: &mut BTreeSet<String>,
        depth_left: usize,
    ) {
        // A plan lists the module alone after each of its outputs; that entry adds nothing.
        let [_, child, output, ..] = parts else { return };
        let mut modules = scope.modules.to_vec();
        modules.push(*child);
        let outputs = self.module(&modules).and_then(|module| module.table("outputs"));
        let output = outputs.and_then(|outputs| outputs.table(output.name));
        if let Some(expression) = output.and_then(|output| output.table("expression")) {
            let scope = ModuleScope { modules: &modules, index: "" };
            self.follow(&scope, expression, found, depth_left - 1);
        }
    }

    /// The referenced instance if it is known, else all instances of the block.
    fn resources(&self, scope: &ModuleScope<'_, 'n>, text: &'n str) -> Vec<String> {
        let mut address = Address::of(text);
        address.modules = scope.modules.to_vec();
        let block = address.block();
        let id_of = |address: &str| self.ids.get(address).map(|id| (*id).to_owned());
        let given_index = address.index;
        if let Some(id) = id_of(&format!("{block}{given_index}")) {
            return vec![id];
        }
        let Some(instances) = self.instances.get(&block) else { return vec![block] };
        // A plan lists the references of `x.web[count.index].id` as `x.web` and `count.index`, so
        // instance 0 of a block refers to instance 0 of `x.web`.
        match id_of(&format!("{block}{}", scope.index)) {
            Some(id) if given_index.is_empty() => vec![id],
            _ => instances.iter().filter_map(|address| id_of(address)).collect(),
        }
    }
}

/// The scope of an expression: its module and the index of its instance.
struct ModuleScope<'w, 'n> {
    modules: &'w [AddressPart<'n>],
    index: &'n str,
}

/// The references in an expression, such as `var.f`.
fn references_in<'n>(expression: &'n Table<'_>) -> impl Iterator<Item = &'n str> {
    let items = match expression.entry("references").map(|entry| &entry.value.value) {
        Some(Value::Array(items)) => &**items,
        _ => &[],
    };
    items.iter().filter_map(|item| match &item.value {
        Value::String(text) => Some(&**text),
        _ => None,
    })
}

/// A name between dots, and the `[0]` or `["x"]` after it.
#[derive(Clone, Copy)]
struct AddressPart<'t> {
    name: &'t str,
    index: &'t str,
}

impl<'t> AddressPart<'t> {
    fn of(text: &'t str) -> Self {
        let (name, index) =
            text.split_at_checked(text.find('[').unwrap_or(text.len())).unwrap_or((text, ""));
        Self { name, index }
    }
}

/// The parts of an address; dots in quotes belong to a key.
fn parts(text: &str) -> Vec<AddressPart<'_>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let between = |one: char| {
        let is_plain = !is_escaped;
        is_escaped = is_quoted && is_plain && one == '\\';
        is_quoted ^= is_plain && one == '"';
        one == '.' && !is_quoted
    };
    text.split(between).map(AddressPart::of).collect()
}

/// The address of a resource.
struct Address<'t> {
    modules: Vec<AddressPart<'t>>,
    /// The address of the resource in its module, without an index.
    resource: String,
    index: &'t str,
}

impl<'t> Address<'t> {
    fn of(text: &'t str) -> Self {
        let all = parts(text);
        let (mut rest, mut modules) = (&*all, Vec::new());
        while let [AddressPart { name: "module", .. }, module, others @ ..] = rest {
            modules.push(*module);
            rest = others;
        }
        let len = if rest.first().is_some_and(|part| part.name == "data") { 3 } else { 2 };
        let own = rest.get(..len).unwrap_or(rest);
        let names: Vec<&str> = own.iter().map(|part| part.name).collect();
        let index = own.last().map_or("", |part| part.index);
        Self { modules, resource: names.join("."), index }
    }

    /// The whole address, without the index of the resource.
    fn block(&self) -> String {
        let mut block = String::new();
        for AddressPart { name, index } in &self.modules {
            block.push_str("module.");
            block.push_str(name);
            block.push_str(index);
            block.push('.');
        }
        block.push_str(&self.resource);
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terraform_address_is_split_into_its_parts() {
        let text = r#"module.a["x.\"]y"].module.b[0].data.aws_x.name["q.r"].id"#;
        let address = Address::of(text);
        assert_eq!(address.block(), r#"module.a["x.\"]y"].module.b[0].data.aws_x.name"#);
        assert_eq!((&*address.resource, address.index), ("data.aws_x.name", r#"["q.r"]"#));
        assert_eq!(Address::of("").block(), "");
        assert_eq!(Address::of("module").block(), "module");
    }
}
