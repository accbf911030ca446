//! Addresses of Terraform, such as `module.a["x"].aws_instance.web[0]`.

/// A name between dots, and the `[0]` or `["x"]` after it.
#[derive(Clone, Copy)]
pub(super) struct AddressPart<'t> {
    pub(super) name: &'t str,
    pub(super) index: &'t str,
}

impl<'t> AddressPart<'t> {
    fn of(text: &'t str) -> Self {
        let (name, index) =
            text.split_at_checked(text.find('[').unwrap_or(text.len())).unwrap_or((text, ""));
        Self { name, index }
    }
}

/// The parts of an address; dots in quotes belong to a key.
pub(super) fn parts(text: &str) -> Vec<AddressPart<'_>> {
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
pub(super) struct Address<'t> {
    pub(super) modules: Vec<AddressPart<'t>>,
    /// The address of the resource in its module, without an index.
    pub(super) resource: String,
    pub(super) index: &'t str,
}

impl<'t> Address<'t> {
    pub(super) fn of(text: &'t str) -> Self {
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
    pub(super) fn block(&self) -> String {
        self.joined(|module| module.index)
    }

    /// The whole address, without any index.
    pub(super) fn block_of_any_module(&self) -> String {
        self.joined(|_| "")
    }

    fn joined(&self, index: impl Fn(&AddressPart<'t>) -> &'t str) -> String {
        let mut block = String::new();
        for module in &self.modules {
            block.push_str("module.");
            block.push_str(module.name);
            block.push_str(index(module));
            block.push('.');
        }
        block.push_str(&self.resource);
        block
    }

    /// The type of the resource.
    pub(super) fn kind(&self) -> &str {
        let resource = self.resource.strip_prefix("data.").unwrap_or(&self.resource);
        resource.split('.').next().unwrap_or_default()
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
        assert_eq!(address.block_of_any_module(), "module.a.module.b.data.aws_x.name");
        assert_eq!((&*address.resource, address.index), ("data.aws_x.name", r#"["q.r"]"#));
        assert_eq!(address.kind(), "aws_x");
        assert_eq!(Address::of("").block(), "");
        assert_eq!(Address::of("module").block(), "module");
    }
}
