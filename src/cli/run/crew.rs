//! The worker threads of all interfaces, and which of them have frames to take.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::attach;
use super::descriptors::most_workers;
use super::flags::{Capture, RunFlags};
use super::hand::{Done, Hand};
use super::on_this_host::pin;
use super::plan::{Mirrored, Plan};
use super::post::{Letter, Post};
use super::ring_budget::{Opened, RingBudget};
use super::roster::Roster;
use super::routes;
use crate::cli::exit::Failure;
use crate::cli::terminal;
use crate::dataplane::{Counters, MirrorTable, NotMirrored, Verdict};
use crate::io::StopFlag;
use crate::io::links::Link;
use crate::io::live;
use crate::io::memory_limit::MemoryLimit;
use crate::io::udp::{Egress, TargetReport};

/// The threads of one interface.
struct Station {
    mirrored: Mirrored,
    hands: Vec<(Post, JoinHandle<Done>)>,
    /// Bytes that were planned for the ring of each.
    ring_len: usize,
    /// The index of the device whose frames they take.
    attached: Option<u32>,
    is_up: bool,
    /// Why the device, which is there, is not captured.
    trouble: Option<String>,
}

/// All of them.
pub(super) struct Crew {
    stations: Vec<Station>,
    plan: Plan,
    options: CrewOptions,
    roster: Roster,
    /// Set by a signal: no further interface is attached.
    stop: StopFlag,
    rings: RingBudget,
    /// What stations did that are no longer there.
    gone: Vec<Done>,
}

/// What all threads have in common.
struct CrewOptions {
    egress: Arc<Egress>,
    workers: u16,
    cpus: Vec<u16>,
    capture: Capture,
    /// How many workers there are descriptors for.
    most_workers: usize,
    /// Whether copies leave by devices of the same network namespace.
    is_at_home: bool,
}

/// What all of them did.
pub(super) struct AllDone {
    pub(super) table: Arc<MirrorTable>,
    pub(super) counters: Counters,
    pub(super) targets: Vec<TargetReport>,
    /// How many frames are not accounted for.
    pub(super) unaccounted: u64,
    /// Whether each ended because it was asked to.
    pub(super) is_whole: bool,
}

impl Crew {
    /// Starts the threads; frames come when the links are looked at.
    pub(super) fn muster(flags: &RunFlags, plan: Plan, stop: StopFlag) -> Result<Self, Failure> {
        let options = CrewOptions {
            egress: Arc::new(Egress::new(flags.udp_options())),
            workers: flags.workers,
            cpus: flags.cpus.clone(),
            capture: flags.capture,
            most_workers: most_workers().map_err(Failure::failed)?,
            is_at_home: flags.netns.is_none(),
        };
        let roster = Roster::new(Arc::clone(&plan.table), Arc::clone(&options.egress));
        let no_routes = |error| Failure::failed(format_args!("watching the routes: {error}"));
        routes::keep(&options.egress).map_err(no_routes)?;
        let rings = RingBudget::new(flags.ring_size, MemoryLimit::of_this_process());
        let (stations, gone) = (Vec::new(), Vec::new());
        let mut crew = Self { stations, plan, options, roster, stop, rings, gone };
        crew.add_stations(crew.plan.mirrored.clone(), Opened::AtStart)?;
        Ok(crew)
    }

    /// Sees to it that each interface is captured as long as it is there.
    pub(super) fn follow(&mut self, flags: &RunFlags, links: &[Link]) {
        let mut unopened = Vec::new();
        for station in &mut self.stations {
            if self.stop.is_set() {
                return;
            }
            let link = links.iter().find(|link| link.name == station.mirrored.device);
            if let Some(link) = station.follow(link) {
                unopened.push((station, link));
            }
        }
        attach::for_each(unopened, |(station, link)| station.attach(flags, link));
        for station in &self.stations {
            let own = station.attached.filter(|_| self.options.is_at_home);
            self.roster.attach(&station.mirrored, own);
        }
    }

    /// Takes note of interfaces whose capture ended with an error, so that they are captured anew
    /// when the links are looked at; whether there are any.
    pub(super) fn forget_failed(&mut self) -> bool {
        let failed = self.stations.iter_mut().map(Station::forget_failed);
        failed.fold(false, std::ops::BitOr::bitor)
    }

    /// Who is at work, for those who want to know.
    pub(super) const fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether a thread has ended that was not asked to.
    pub(super) fn has_lost_a_hand(&self) -> bool {
        let mut threads = self.stations.iter().flat_map(|station| &station.hands);
        threads.any(|(_, thread)| thread.is_finished())
    }

    /// Goes on with another plan: every worker changes its table between two bursts.
    pub(super) fn change(&mut self, plan: Plan) -> Result<(), Failure> {
        self.plan = plan;
        let (stay, leave): (Vec<_>, Vec<_>) = std::mem::take(&mut self.stations)
            .into_iter()
            .partition(|station| self.plan.mirrored.contains(&station.mirrored));
        self.stations = stay;
        for station in leave {
            // Their sessions are no longer in the table: their copies count as retired.
            station.send_table(&self.plan);
            let mirrored = station.mirrored.clone();
            self.rings.give_back(station.hands.len(), station.ring_len);
            let mut done = station.dismiss();
            done.iter_mut().for_each(|done| done.counters.retire());
            self.roster.remove(&mirrored, &done);
            self.gone.extend(done);
        }
        self.publish();
        self.fill_up()
    }

    /// Begins the threads of interfaces that have none yet.
    fn fill_up(&mut self) -> Result<(), Failure> {
        let is_known = |one: &&Mirrored| self.stations.iter().any(|its| its.mirrored == **one);
        let new: Vec<_> = self.plan.mirrored.iter().filter(|one| !is_known(one)).cloned().collect();
        if new.is_empty() { Ok(()) } else { self.add_stations(new, Opened::Later) }
    }

    /// Tries again what could not be begun, such as for want of file descriptors; says whether the
    /// links have to be looked at for it.
    pub(super) fn try_again(&mut self) -> bool {
        let lacks = self.stations.len() < self.plan.mirrored.len();
        let is_filled = lacks && self.fill_up().is_ok();
        is_filled || self.stations.iter().any(|station| station.trouble.is_some())
    }

    /// Why an interface that is there is not captured.
    pub(super) fn trouble(&self) -> Option<String> {
        let lacks = self.stations.len() < self.plan.mirrored.len();
        let of_station = self.stations.iter().find_map(|station| station.trouble.clone());
        of_station.or_else(|| lacks.then(|| "an interface has no thread yet".to_owned()))
    }

    /// Goes on with a table of which only the making differs.
    pub(super) fn change_table(&mut self, table: Arc<MirrorTable>) {
        self.plan.table = table;
        self.publish();
    }

    fn publish(&self) {
        self.roster.change_table(Arc::clone(&self.plan.table));
        for station in &self.stations {
            station.send_table(&self.plan);
        }
    }

    /// What all workers send by.
    pub(super) fn egress(&self) -> &Egress {
        &self.options.egress
    }

    /// The table in force.
    pub(super) const fn table(&self) -> &Arc<MirrorTable> {
        &self.plan.table
    }

    /// Which devices have threads, by which one sees whether any came or went.
    pub(super) fn stations(&self) -> Vec<Mirrored> {
        self.stations.iter().map(|station| station.mirrored.clone()).collect()
    }

    /// All workers' boards.
    pub(super) fn posts(&self) -> impl Iterator<Item = (&Mirrored, &Post)> {
        self.stations
            .iter()
            .flat_map(|station| station.hands.iter().map(|(post, _)| (&station.mirrored, post)))
    }

    /// Ends all threads and adds up what they did.
    pub(super) fn dismiss(self) -> AllDone {
        let mut counters = Counters::new(&self.plan.table);
        let mut targets = Vec::new();
        let (mut is_whole, mut unaccounted) = (true, 0);
        for station in &self.stations {
            station.end();
        }
        let attached = self.stations.iter().filter_map(|station| station.attached);
        let own: Vec<u32> = attached.filter(|_| self.options.is_at_home).collect();
        let done =
            self.gone.into_iter().chain(self.stations.into_iter().flat_map(Station::dismiss));
        for one in done {
            counters.add(&one.counters);
            targets.extend(one.targets);
            is_whole &= one.is_whole;
            unaccounted += one.unaccounted;
            one.warnings.iter().for_each(|warning| terminal::warn(warning));
        }
        self.options.egress.read_errors();
        self.options.egress.add_errors(targets.iter_mut());
        counters.leave(NotMirrored::OwnTraffic, sent_over(&targets, &own));
        AllDone { table: self.plan.table, counters, targets, unaccounted, is_whole }
    }

    /// Begins the threads of interfaces, and says how much memory their rings will take.
    fn add_stations(&mut self, new: Vec<Mirrored>, opened: Opened) -> Result<(), Failure> {
        if self.options.capture == Capture::Pnet {
            return new.into_iter().try_for_each(|one| self.add_station(one, 0));
        }
        let rings = new.len().saturating_mul(usize::from(self.options.workers));
        let ring_len = self.rings.plan(rings, opened)?;
        let added = new.into_iter().try_for_each(|one| self.add_station(one, ring_len));
        match added {
            // With few descriptors, some interfaces wait until there are more.
            Err(failure) if opened == Opened::AtStart => {
                terminal::warn(&format!("{failure}; trying again each second"));
            }
            added => added?,
        }
        terminal::note(&self.rings.statement(rings, ring_len));
        Ok(())
    }

    fn add_station(&mut self, mirrored: Mirrored, ring_len: usize) -> Result<(), Failure> {
        let no_thread = |error| Failure::failed(format_args!("starting a thread: {error}"));
        let workers: usize = self.stations.iter().map(|one| one.hands.len()).sum();
        if workers + usize::from(self.options.workers) > self.options.most_workers {
            return Err(no_thread(io::Error::from_raw_os_error(libc::EMFILE)));
        }
        let index = self.plan.index_of(&mirrored.id).unwrap_or(Verdict::NO_INTERFACE);
        let mut hands = Vec::new();
        for worker in 0..self.options.workers {
            let post = Post::new(live::waker().map_err(no_thread)?);
            self.roster.add(&mirrored, worker, &post);
            let table = Arc::clone(&self.plan.table);
            let hand = Hand::new(table, index, Arc::clone(&self.options.egress), post.clone());
            let number =
                self.stations.iter().map(|one| one.hands.len()).sum::<usize>() + hands.len();
            let cpu = self.options.cpus.iter().cycle().nth(number).copied();
            let name = format!("{}-{}", mirrored.device, hands.len());
            let work = move || {
                pin(cpu);
                hand.work()
            };
            let thread = thread::Builder::new().name(name).spawn(work).map_err(no_thread)?;
            hands.push((post, thread));
        }
        self.rings.take(hands.len(), ring_len);
        let (attached, trouble) = (None, None);
        self.stations.push(Station { mirrored, hands, ring_len, attached, is_up: true, trouble });
        Ok(())
    }
}

impl Station {
    /// Follows what happened to the device; returns it where it is there and has to be opened.
    fn follow<'l>(&mut self, link: Option<&'l Link>) -> Option<&'l Link> {
        let device = &self.mirrored.device;
        match link {
            None if self.attached.is_some() => {
                terminal::note(&format!("{device} is gone: waiting for it to come back"));
                self.attached = None;
                self.send(|| Letter::NoSource);
            }
            None => self.trouble = None,
            Some(link) if self.attached == Some(link.index) => {
                if self.is_up != link.is_up {
                    let state = if link.is_up { "up: going on" } else { "down: waiting" };
                    terminal::note(&format!("{device} is {state}"));
                }
                self.is_up = link.is_up;
            }
            Some(link) => return Some(link),
        }
        None
    }

    /// While the device is down that is no use: it is waited for.
    fn forget_failed(&mut self) -> bool {
        if !self.is_up {
            return false;
        }
        let failures = self.hands.iter().filter_map(|(post, _)| post.shown().failure.take());
        // All are taken: one beginning is for all hands.
        let Some(failure) = failures.reduce(|_, later| later) else { return false };
        let device = &self.mirrored.device;
        terminal::warn(&format!("capturing {device} ended: {failure}; beginning anew"));
        self.attached = None;
        true
    }

    fn attach(&mut self, flags: &RunFlags, link: &Link) {
        let device = &self.mirrored.device;
        let wakers: Vec<_> = self.hands.iter().map(|(post, _)| post.waker().clone()).collect();
        match attach::open(flags, link, self.ring_len, &wakers) {
            Ok(sources) => {
                let state = if link.is_up { "" } else { ", which is down" };
                terminal::note(&format!("mirroring {device} (index {}){state}", link.index));
                self.attached = Some(link.index);
                self.is_up = link.is_up;
                self.trouble = None;
                for ((post, thread), source) in self.hands.iter().zip(sources) {
                    post.send(Letter::Source(source));
                    thread.thread().unpark();
                }
            }
            Err(error) => {
                let trouble = format!("cannot capture {device}: {error}");
                if self.trouble.replace(trouble.clone()).as_ref() != Some(&trouble) {
                    terminal::warn(&format!("{trouble}; trying again"));
                }
            }
        }
    }

    fn send_table(&self, plan: &Plan) {
        let index = plan.index_of(&self.mirrored.id).unwrap_or(Verdict::NO_INTERFACE);
        self.send(|| Letter::Table(Arc::clone(&plan.table), index));
    }

    fn send(&self, letter: impl Fn() -> Letter) {
        for (post, thread) in &self.hands {
            post.send(letter());
            thread.thread().unpark();
        }
    }

    fn end(&self) {
        self.send(|| Letter::End);
    }

    /// Ends the threads, and says what they still had to say.
    fn dismiss(self) -> Vec<Done> {
        self.end();
        let join = |(post, thread): (Post, JoinHandle<Done>)| {
            let done = thread.join().unwrap_or_default();
            tell(&self.mirrored.device, &post);
            done
        };
        self.hands.into_iter().map(join).collect()
    }
}

/// Says what stands on a worker's board and was not said yet.
pub(super) fn tell(device: &str, post: &Post) {
    let mut shown = post.shown();
    let errors = std::mem::take(&mut shown.errors);
    let warnings = std::mem::take(&mut shown.warnings);
    let of_source = std::mem::take(&mut shown.source_warnings);
    drop(shown);
    errors.iter().for_each(|error| terminal::complain(&format!("{device}: {error}")));
    warnings.iter().for_each(|warning| terminal::warn(warning));
    of_source.iter().for_each(|warning| terminal::warn(&format!("{device}: {warning}")));
}

/// How many copies were sent over mirrored devices: the kernel's filter keeps them out of the
/// rings by their mark, so they are known from the sending side alone.
pub(super) fn sent_over(targets: &[TargetReport], devices: &[u32]) -> u64 {
    let over = |target: &&TargetReport| {
        target.device_index.is_some_and(|device| devices.contains(&device))
    };
    targets.iter().filter(over).map(|target| target.sent).sum()
}
