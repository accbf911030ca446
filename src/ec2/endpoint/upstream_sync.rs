//! Keeps the account consistent with the other emulator: the interfaces that were learned, the
//! addresses of load balancers, and the account id.
//!
//! An interface is learned when a session or target names it. Everything learned is read again after
//! each change that the other emulator made for a client, and every few seconds, because other
//! clients can change it directly. Neither the writer thread nor a lock waits for the network.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::super::upstream::{SHORT_WAIT, Scope, Upstream, UpstreamError};
use super::account_handle::AccountHandle;
use crate::control::account::Account;
use crate::model::{NetworkInterface, NetworkInterfaceId, TargetId};

/// The time between two reads of everything learned.
const INTERVAL: Duration = Duration::from_secs(3);

/// Returns the seconds since 1970.
pub(super) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Copies what is in the other emulator to the account. Clones share their state.
#[derive(Clone)]
pub(in crate::ec2) struct UpstreamSync {
    account: AccountHandle,
    upstream: Arc<Upstream>,
    now_s: Clock,
    /// The scope in which each interface was learned.
    scopes: Arc<Mutex<HashMap<NetworkInterfaceId, Scope>>>,
    /// The addresses that were stored for each target.
    stored: Arc<Mutex<HashMap<TargetId, Vec<SocketAddr>>>>,
}

impl UpstreamSync {
    pub(super) fn new(account: AccountHandle, upstream: Arc<Upstream>, now_s: Clock) -> Self {
        Self { account, upstream, now_s, scopes: Arc::default(), stored: Arc::default() }
    }

    pub(in crate::ec2) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Whether only this endpoint has an interface, and not also the other emulator as far as is
    /// known.
    pub(in crate::ec2) fn is_own_interface(&self, id: &NetworkInterfaceId) -> bool {
        let account = self.account.read();
        let is_unknown = account.unknown_interfaces().any(|one| one.id() == id);
        let known = account.registry().network_interface(id);
        known.is_some_and(|interface| !interface.is_learned && !is_unknown)
    }

    /// Reads an interface that a request names, unless it is an own one. If the emulator is down,
    /// or does not answer soon, what was learned before is used. Returns whether the request can see the interface, as far
    /// as the emulator decides it: it cannot see one that was learned in another scope.
    ///
    /// # Errors
    /// The emulator does not answer, and the interface is unknown.
    pub(in crate::ec2) async fn learn_interface(
        &self,
        scope: &Scope,
        id: &NetworkInterfaceId,
    ) -> Result<bool, UpstreamError> {
        if self.is_own_interface(id) {
            return Ok(true);
        }
        let read = self.upstream.network_interfaces(scope, std::slice::from_ref(id));
        let found = match self.is_known(id) {
            true => match timeout(SHORT_WAIT, read).await {
                Ok(found) => found,
                Err(_) => return Ok(true),
            },
            false => read.await,
        };
        match found.map(|mut found| found.remove(id)) {
            Ok(None) if self.is_of_other_scope(scope, id) => Ok(false),
            Ok(found) => {
                self.store_interface(scope, id, found).await;
                Ok(true)
            }
            Err(_) if self.is_known(id) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn is_known(&self, id: &NetworkInterfaceId) -> bool {
        self.account.read().registry().network_interface(id).is_some()
    }

    /// Whether an interface was learned in another scope: another region, or with another key.
    fn is_of_other_scope(&self, scope: &Scope, id: &NetworkInterfaceId) -> bool {
        self.scopes().get(id).is_some_and(|learned| learned != scope)
    }

    /// Stores an interface, or removes it with its sessions if the emulator does not have it in the
    /// scope in which it was learned.
    async fn store_interface(
        &self,
        scope: &Scope,
        id: &NetworkInterfaceId,
        found: Option<NetworkInterface>,
    ) {
        let now_s = (self.now_s)();
        let id = id.clone();
        match &found {
            Some(_) => self.scopes().insert(id.clone(), scope.clone()),
            None => self.scopes().remove(&id),
        };
        let change = move |account: &mut Account| match found {
            Some(interface) => account.learn_interface(interface),
            None => {
                account.forget_interface(&id, now_s);
                Ok(())
            }
        };
        // A change that cannot be persisted is made again at the next read.
        let _ = self.account.change(change).await;
    }

    /// Reads everything learned again.
    pub(in crate::ec2) async fn refresh(&self) {
        self.refresh_interfaces().await;
        self.refresh_load_balancers(None).await;
    }

    async fn refresh_interfaces(&self) {
        for (scope, ids) in self.interfaces_by_scope() {
            // While the emulator is down, what was learned stays.
            let Ok(mut found) = self.upstream.network_interfaces(&scope, &ids).await else {
                return;
            };
            for id in ids {
                let found = found.remove(&id);
                if self.has_changed(&id, found.as_ref()) {
                    self.store_interface(&scope, &id, found).await;
                }
            }
        }
    }

    /// The interfaces to read. Those of a state file are read in the scope of the last request.
    fn interfaces_by_scope(&self) -> BTreeMap<Scope, Vec<NetworkInterfaceId>> {
        let last = self.upstream.last_scope();
        let account = self.account.read();
        let scopes = self.scopes();
        let mut by_scope: BTreeMap<Scope, Vec<NetworkInterfaceId>> = BTreeMap::new();
        for interface in account.learned_interfaces().chain(account.unknown_interfaces()) {
            if let Some(scope) = scopes.get(interface.id()).or(last.as_ref()) {
                by_scope.entry(scope.clone()).or_default().push(interface.id().clone());
            }
        }
        by_scope
    }

    /// Whether an interface differs from what is known of it.
    fn has_changed(&self, id: &NetworkInterfaceId, found: Option<&NetworkInterface>) -> bool {
        let account = self.account.read();
        let known = account.registry().network_interface(id);
        match (known, found) {
            (Some(_), Some(found)) => account.would_learn(found),
            // An interface of a state file that the emulator never had in this run stays.
            (Some(known), None) => known.is_learned && !known.is_down,
            (None, _) => false,
        }
    }

    /// Reads the addresses of the load balancers of targets, or of one load balancer, to which a
    /// client has just added a target.
    pub(in crate::ec2) async fn refresh_load_balancers(&self, only: Option<&str>) {
        let mut by_arn: BTreeMap<String, Vec<TargetId>> = BTreeMap::new();
        for (id, arn) in self.account.read().load_balancer_targets() {
            if only.is_none_or(|only| only == arn) {
                by_arn.entry(arn.to_owned()).or_default().push(id.clone());
            }
        }
        if only.is_none() {
            let exists = |id: &TargetId| by_arn.values().flatten().any(|one| one == id);
            self.stored().retain(|id, _| exists(id));
        }
        let key = self.upstream.last_scope().map(|scope| scope.access_key_id);
        let key = key.unwrap_or_else(|| "test".to_owned());
        for (arn, targets) in by_arn {
            let addresses = match self.upstream.load_balancer_addresses(&key, &arn).await {
                Ok(addresses) => addresses,
                // While the emulator does not answer, the addresses stay.
                Err(error) if error.is_without_answer() => return,
                // The load balancer does not exist.
                Err(_) => Vec::new(),
            };
            if only.is_some() {
                // A reset may have removed a target of the same id.
                self.stored().retain(|id, _| !targets.contains(id));
            }
            self.store_addresses(targets, addresses).await;
        }
    }

    /// Stores the addresses of targets that are not stored yet. Nothing is stored twice, because
    /// that would compile the tables of all sessions of the target again.
    async fn store_addresses(&self, targets: Vec<TargetId>, addresses: Vec<SocketAddr>) {
        let mut targets = targets;
        targets.retain(|id| {
            let before = self.stored().insert(id.clone(), addresses.clone());
            before.unwrap_or_default() != addresses
        });
        if targets.is_empty() {
            return;
        }
        let change = move |account: &mut Account| {
            targets.iter().for_each(|id| account.learn_target(id, addresses.clone()));
            Ok(())
        };
        // This fails only if the data plane refuses the addresses; then the last ones stay.
        let _ = self.account.change(change).await;
    }

    /// Asks the emulator for its account id until it is known.
    async fn ask_account_id(&self) {
        if self.upstream.account_id().is_some() {
            return;
        }
        let Ok(id) = self.upstream.ask_account_id().await else {
            return self.upstream.set_account_id(None);
        };
        let shown = id.clone();
        let change = move |account: &mut Account| {
            account.show_owner_as(&shown);
            Ok(())
        };
        // This fails only if the writer thread has ended.
        let _ = self.account.change(change).await;
        self.upstream.set_account_id(Some(&id));
    }

    /// Reads everything learned again and again.
    async fn run(self) {
        loop {
            self.ask_account_id().await;
            self.refresh().await;
            sleep(INTERVAL).await;
        }
    }

    fn stored(&self) -> MutexGuard<'_, HashMap<TargetId, Vec<SocketAddr>>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scopes(&self) -> MutexGuard<'_, HashMap<NetworkInterfaceId, Scope>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that reads everything learned again. It ends when this is dropped.
pub(super) struct UpstreamThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl UpstreamThread {
    pub(super) fn start(sync: UpstreamSync) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let run = async move {
            tokio::select! {
                _ = stopped => {}
                () = sync.run() => {}
            }
        };
        let thread = thread::Builder::new().name("ec2-upstream".to_owned());
        let thread = thread.spawn(move || runtime.block_on(run))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for UpstreamThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // An error means that the thread panicked, so it has ended.
            let _ = thread.join();
        }
    }
}
