//! Returns an account to an initial state: the resources of clients are removed.

use super::Account;
use super::record_key::RecordKey;

impl Account {
    /// Replaces this account by another one, such as a new one over the same configuration files.
    /// The records of all resources and tokens of clients count as changed, so that they are removed
    /// from a state file. All interfaces with sessions, before or after, count as touched.
    pub fn replace(&mut self, other: Self) {
        let keys = self.client_records();
        let sources = self.registry.sources().chain(other.registry.sources());
        let sources: Vec<_> = sources.map(|interface| interface.id().clone()).collect();
        let emulator = std::mem::take(&mut self.emulator);
        *self = other;
        self.emulator = emulator;
        self.changed.extend(keys);
        for id in sources {
            self.registry.touch_source(&id);
        }
    }

    /// The keys of all records that a state file can contain.
    fn client_records(&self) -> Vec<RecordKey> {
        let mut keys = Vec::new();
        let interfaces = self.network_interfaces.after(0);
        let interfaces = interfaces.filter(|(_, _, one)| !one.is_from_file);
        keys.extend(interfaces.map(|(_, id, _)| RecordKey::NetworkInterface(id.clone())));
        let targets = self.targets.after(0).filter(|(_, _, one)| !one.is_from_file);
        keys.extend(targets.map(|(_, id, _)| RecordKey::Target(id.clone())));
        let filters = self.filters.after(0).filter(|(_, _, one)| !one.is_from_file);
        keys.extend(filters.map(|(_, id, _)| RecordKey::Filter(id.clone())));
        let rules = self.rules.after(0).filter(|(_, _, one)| !one.is_from_file);
        keys.extend(rules.map(|(_, id, _)| RecordKey::Rule(id.clone())));
        let sessions = self.sessions.after(0).filter(|(_, _, one)| !one.is_from_file);
        keys.extend(sessions.map(|(_, id, _)| RecordKey::Session(id.clone())));
        keys.extend(self.tokens.keys().map(|(owner, token)| RecordKey::Token(owner, token)));
        // A change that is not persisted yet may have removed a record of the state file.
        keys.extend(self.changed.iter().cloned());
        keys
    }
}

#[cfg(test)]
mod tests {
    use crate::control::Registry;
    use crate::control::account::{
        Account, Caller, CreateFilter, DEFAULT_OWNER, Quotas, TargetResolver,
    };

    #[test]
    fn the_records_of_clients_are_removed_and_those_of_files_stay() {
        let registry = Registry::accept_all("192.0.2.9:4789".parse().unwrap(), None, None);
        let mut drawn = 0;
        let draw = move || {
            drawn += 1;
            drawn
        };
        let new =
            || Account::new(registry.clone(), Quotas::default(), TargetResolver::default(), || 77);
        let mut account =
            Account::new(registry.clone(), Quotas::default(), TargetResolver::default(), draw);
        let caller = Caller { owner: DEFAULT_OWNER, is_dry_run: false, now_s: 0 };
        let id = account.create_filter(&caller, CreateFilter::default()).unwrap();
        account.take_changes().unwrap();
        account.replace(new());
        assert_eq!(account.filters().after(0).count(), 1);
        let records = account.take_changes().unwrap();
        let removed: Vec<_> = records.iter().map(|one| (&*one.key, &one.text)).collect();
        assert_eq!(removed, [(&*format!("filter/{id}"), &None)]);
        let source = registry.network_interfaces()[0].id();
        assert!(account.registry_mut().take_touched().contains(source));
    }
}
