//! The laboratory: a mirroring VPC in memory, for tests without root and without AWS.
//!
//! Clients create sessions by the EC2 API, play captures through network interfaces, and fetch the
//! copies of a target as bytes. The tables and the packet loop are those of live mirroring.
//!
//! What belongs here: the account of a laboratory, plays, stored copies, and the HTTP API below
//! `/_traffic-mirror/`. What does not belong here: the EC2 API (`ec2`), AWS's rules (`control`), and
//! the processing of a frame (`dataplane`).

mod action;
mod active_plays;
mod api;
mod copy_formats;
mod copy_origins;
mod copy_sink;
mod copy_store;
mod error;
mod events;
mod explain;
mod options;
mod pins;
mod play;
mod randomness;
mod selector;
mod snapshot;
mod sources;
mod state;
mod tables;
mod target_monitor;
mod totals;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::watch::{Receiver, Sender};

use self::active_plays::ActivePlays;
pub use self::api::serve;
pub use self::copy_formats::CopyFormat;
use self::copy_store::CopyStore;
pub use self::copy_store::{CopyOrigin, StoredCopy};
pub use self::error::{LabError, LabErrorKind};
pub use self::events::LabEvent;
use self::events::Report;
pub use self::explain::ExplainRequest;
pub use self::options::{DEFAULT_COPY_MEMORY, LabOptions};
pub use self::play::{PlayInput, PlayOptions, Played};
use self::randomness::{LabClock, Randomness};
pub use self::sources::PrefixedFrames;
use self::state::LabState;
use self::tables::{LabPublisher, LabTables};
use self::target_monitor::TargetMonitor;
use self::totals::Totals;
use crate::control::account::Account;
use crate::control::vpc::synthetic_mac;
use crate::control::{CompileOptions, with_network_ids};
use crate::ec2::{Access, Endpoint, Upstream};
use crate::http::healthy_text;
use crate::io::StopFlag;
use crate::model::TargetId;

/// A laboratory. Clones are the same laboratory.
#[derive(Clone)]
pub struct Lab {
    shared: Arc<Shared>,
}

/// What the threads of a laboratory share.
struct Shared {
    options: LabOptions,
    endpoint: Endpoint,
    account: Arc<RwLock<Account>>,
    tables: LabTables,
    copies: Arc<Mutex<CopyStore>>,
    /// Notified when copies were stored or removed.
    copies_changed: Arc<Sender<()>>,
    plays: ActivePlays,
    totals: Mutex<Totals>,
    randomness: Arc<Randomness>,
    /// The random numbers of the ids of requests.
    request_ids: Arc<Randomness>,
    clock: Arc<LabClock>,
    /// Set at the end, which ends plays in progress.
    stop: StopFlag,
}

impl Lab {
    /// Creates a laboratory and reads its state file.
    ///
    /// # Errors
    /// The state file cannot be read or contradicts the resources of the options, or a thread cannot
    /// be started.
    pub fn new(options: LabOptions) -> io::Result<Self> {
        Self::with_events(options, |_| {})
    }

    /// The same, with a function that receives events.
    ///
    /// # Errors
    /// Those of [`Lab::new`].
    pub fn with_events(
        options: LabOptions,
        report: impl Fn(LabEvent) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let randomness = Arc::new(Randomness::default());
        randomness.restart(options.seed);
        let mut account = new_account(&options, &randomness);
        let report: Report = Arc::new(report);
        let state = LabState::open(options.state.as_deref(), Arc::clone(&report))?;
        account.restore(state.load()?).map_err(io::Error::other)?;
        account.registry_mut().take_touched();
        let seed = options.seed.unwrap_or_default();
        let tables = LabTables::new(CompileOptions { seed, ..CompileOptions::default() });
        tables.replace(account.registry());
        let mut monitor = TargetMonitor::new(report);
        monitor.update(account.registry());
        let publisher = LabPublisher::new(tables.clone(), monitor);
        let account = Arc::new(RwLock::new(account));
        let clock = Arc::new(LabClock::default());
        let (time, request_ids) = (Arc::clone(&clock), Arc::new(Randomness::default()));
        request_ids.restart(options.seed);
        let requests = Arc::clone(&request_ids);
        let access = Access::Anyone(Arc::from(&*options.account_id));
        let endpoint = Endpoint::new(
            Arc::clone(&account),
            publisher,
            state,
            move || time.now_s(),
            move || requests.draw(),
        )?;
        let mut endpoint = endpoint.with_access(access).with_awaited_end();
        if let Some(url) = &options.upstream {
            let upstream = Upstream::new(url).map_err(io::Error::other)?;
            endpoint = endpoint.with_upstream(upstream)?;
        }
        let shared = Shared {
            endpoint,
            account,
            tables,
            copies: Arc::new(Mutex::new(CopyStore::new(options.copy_memory))),
            copies_changed: Arc::new(Sender::new(())),
            plays: ActivePlays::default(),
            totals: Mutex::default(),
            request_ids,
            randomness,
            clock,
            stop: StopFlag::new(),
            options,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The EC2 endpoint, which answers requests with or without a socket.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// Stops plays, and removes everything that clients created, all copies and counters. Random numbers start again
    /// with the seed of the options, and the clock is that of the system.
    ///
    /// # Errors
    /// [`LabError`]: the state file cannot be written.
    pub fn reset(&self) -> Result<(), LabError> {
        let Shared { options, randomness, request_ids, clock, plays, .. } = &*self.shared;
        // Stopped plays store and count nothing more.
        plays.stop_all();
        randomness.restart(options.seed);
        request_ids.restart(options.seed);
        clock.set(None);
        self.copies().clear();
        *self.shared.totals() = Totals::default();
        let initial = new_account(options, randomness);
        self.shared.endpoint.change_account(move |account| {
            account.replace(initial);
            Ok(())
        })?;
        Ok(())
    }

    /// Sets the seed of all further ids and network identifiers.
    pub fn set_seed(&self, seed: u64) {
        self.shared.randomness.restart(Some(seed));
        self.shared.request_ids.restart(Some(seed));
    }

    /// Stops the clock at a time in seconds since 1970. It determines when client tokens expire.
    pub fn set_clock(&self, now_s: Option<u64>) {
        self.shared.clock.set(now_s);
    }

    /// Calls a function with each copy of a target, in the order in which they were sent.
    ///
    /// # Errors
    /// [`LabError`]: the target does not exist.
    pub fn for_each_copy(
        &self,
        target: &TargetId,
        mut call: impl FnMut(StoredCopy<'_>),
    ) -> Result<(), LabError> {
        self.check_target(target)?;
        self.copies().copies(target, 0).for_each(&mut call);
        Ok(())
    }

    /// Removes the copies of a target. Returns their number.
    ///
    /// # Errors
    /// [`LabError`]: the target does not exist.
    pub fn clear_copies(&self, target: &TargetId) -> Result<usize, LabError> {
        self.check_target(target)?;
        Ok(self.copies().clear_target(target))
    }

    /// Ends plays and streams in progress. Called before the program ends.
    pub fn stop(&self) {
        self.shared.stop.set();
        self.shared.plays.stop_all();
        self.shared.copies_changed.send_replace(());
    }

    /// Notifies when copies were stored.
    fn subscribe_to_copies(&self) -> Receiver<()> {
        self.shared.copies_changed.subscribe()
    }

    fn is_stopped(&self) -> bool {
        self.shared.stop.is_set()
    }

    /// The health as text: `ok`, and a line with the targets that have no address.
    #[must_use]
    pub fn health(&self) -> String {
        let account = self.account();
        let targets = account.registry().targets_without_address();
        let targets: Vec<&str> = targets.map(|target| target.id().as_str()).collect();
        healthy_text(&targets)
    }

    fn check_target(&self, target: &TargetId) -> Result<(), LabError> {
        if self.account().registry().target(target).is_some() || self.copies().count(target) > 0 {
            return Ok(());
        }
        let message = format!("The trafficMirrorTarget ID '{target}' does not exist");
        Err(LabError::not_found("InvalidTrafficMirrorTargetId.NotFound", message))
    }

    fn account(&self) -> RwLockReadGuard<'_, Account> {
        self.shared.account.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn copies(&self) -> MutexGuard<'_, CopyStore> {
        self.shared.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account at the start and after a reset.
fn new_account(options: &LabOptions, randomness: &Arc<Randomness>) -> Account {
    let LabOptions { registry, account_id, quotas, targets, .. } = options;
    let mut registry = with_network_ids(registry.clone(), options.seed.unwrap_or_default());
    let interfaces = registry.network_interfaces().iter();
    let ids: Vec<_> = interfaces.map(|interface| interface.id().clone()).collect();
    for id in ids {
        // Clients expect that every interface has one.
        if let Some(interface) = registry.network_interface_mut(&id) {
            interface.mac_address.get_or_insert(synthetic_mac(&id));
        }
    }
    let randomness = Arc::clone(randomness);
    let draw = move || randomness.draw();
    let mut account = Account::with_owner(account_id, registry, *quotas, targets.clone(), draw);
    account.use_virtual_interfaces();
    account
}
