//! The core: whose turn it is at a hop.
//!
//! Start-time fair queueing: each turn has a start in virtual time, the later of the account's last finish and of the
//! hop's present, and the smallest start goes first. So an account that was away has no credit, one that was parked no
//! debt, and between two that have mail at one hop the recipients served, divided by weight, never differ by more than a
//! turn of each. Turns at other hops count here too, though by at most [`AHEAD_TURNS`]: a flood over a thousand
//! destinations does not get a thousand shares, and one that used an idle hop is not shut out of a busy one.

use std::collections::{BinaryHeap, HashMap, VecDeque};

use crate::limits::Moment;
use crate::mail::QueueId;

use super::account::AccountState;
use super::hop::HopState;
use super::line::{AccountId, HopId, InStore, Item, Line, LineNo, LineState};
use super::park::Timer;
use super::settings::{DispatchSettings, Weight};
use super::turn::{Fit, Offer, Turn, TurnId};

/// The most lines kept; the rest is found in the store in rounds.
pub(super) const LINES_MAX: usize = 1_000_000;
/// By how many turns an account may be behind at a hop because of what it had elsewhere.
const AHEAD_TURNS: u32 = 2;

/// Everything that waits and may be next.
#[derive(Debug)]
pub struct Dispatch {
    pub(super) turn_recipients: u32,
    turn_recipients_alone: u32,
    bulk_share_percent: u32,
    hop_connections_max: u32,
    pub(super) lines: Vec<Option<LineState>>,
    pub(super) free_lines: Vec<LineNo>,
    pub(super) index: HashMap<Line, LineNo, foldhash::fast::RandomState>,
    pub(super) accounts: HashMap<AccountId, AccountState, foldhash::fast::RandomState>,
    pub(super) hops: HashMap<HopId, HopState, foldhash::fast::RandomState>,
    /// Hops that may want a connection, each once.
    pub(super) wanting: VecDeque<HopId>,
    pub(super) timers: BinaryHeap<std::cmp::Reverse<Timer>>,
    /// Messages under way: at most one turn of a message in a line at a time.
    pub(super) under_way: HashMap<(LineNo, QueueId), Again>,
    pub(super) to_refill: VecDeque<LineNo>,
    /// Messages in all heads.
    pub(super) heads: usize,
    pub(super) gated: bool,
    /// A line was not kept for want of room: the store knows lines that dispatch does not.
    pub(super) lines_in_store: bool,
    pub(super) lines_max: usize,
    /// Where new hops begin, and past which an account without lines has nothing left to remember.
    virtual_now: [u64; 2],
}

/// Whether more of a message came while it was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    No,
    /// The store is to be asked once the turn is over.
    Yes,
}

impl Dispatch {
    /// Nothing waits.
    pub fn new(settings: &DispatchSettings) -> Self {
        Self {
            turn_recipients: settings.turn_recipients.max(1),
            turn_recipients_alone: settings.turn_recipients_alone.max(1),
            bulk_share_percent: settings.bulk_share_percent.clamp(1, 99),
            hop_connections_max: settings.hop_connections_max.max(1),
            lines: Vec::new(),
            free_lines: Vec::new(),
            index: HashMap::default(),
            accounts: HashMap::default(),
            hops: HashMap::default(),
            wanting: VecDeque::new(),
            timers: BinaryHeap::new(),
            under_way: HashMap::new(),
            to_refill: VecDeque::new(),
            heads: 0,
            gated: false,
            lines_in_store: false,
            lines_max: LINES_MAX,
            virtual_now: [0; 2],
        }
    }

    /// Takes over changed settings; what waits stays. Weights and hops' own limits are set by name afterwards.
    pub fn reload(&mut self, settings: &DispatchSettings) {
        self.turn_recipients = settings.turn_recipients.max(1);
        self.turn_recipients_alone = settings.turn_recipients_alone.max(1);
        self.bulk_share_percent = settings.bulk_share_percent.clamp(1, 99);
        self.hop_connections_max = settings.hop_connections_max.max(1);
        for hop in self.hops.values_mut() {
            hop.connections_max = self.hop_connections_max;
        }
        let hops: Vec<HopId> = self.hops.keys().copied().collect();
        for hop in hops {
            self.list_hop(hop);
        }
    }

    /// The next turn at a hop, for a connection that is ready for MAIL. `fits` asks the limits for a lease of the offer;
    /// what they refuse is parked and the next line is offered. Each line is offered at most once a call.
    pub fn next(&mut self, hop: HopId, now: Moment, mut fits: impl FnMut(&Offer) -> Fit) -> Option<Turn> {
        self.wake(now);
        while let Some((no, offer)) = self.offer(hop) {
            match fits(&offer) {
                Fit::Take(recipients) => return Some(self.take(no, offer, recipients)),
                Fit::ParkAccount(until) if until > now => self.park_account(offer.line.account, until),
                Fit::ParkLine(until) if until > now => self.park_line(offer.line, until),
                Fit::ParkHop(until) => {
                    self.park_hop(hop, until);
                    return None;
                }
                // Parked until a time that has been: asking again at once would turn in circles.
                Fit::Stop | Fit::ParkAccount(_) | Fit::ParkLine(_) => return None,
            }
        }
        None
    }

    /// Ends a turn that got as far as the next hop. `left` is how many recipients of the message wait for this hop and
    /// are due now: those not tried yet. What was deferred is added again when it is due.
    pub fn finish(&mut self, turn: Turn, left: u32) {
        self.end(turn.spend(), left, 0);
    }

    /// Ends a turn that came to nothing: its recipients stand first in their line again, and it cost nothing.
    pub fn put_back(&mut self, turn: Turn) {
        let (recipients, left) = (turn.recipients(), turn.left());
        self.end(turn.spend(), recipients + left, recipients);
    }

    /// Ends a turn whose message does not wait any more: the store was read before it left. It cost nothing.
    pub fn annul(&mut self, turn: Turn) {
        let refund = turn.recipients();
        self.end(turn.spend(), 0, refund);
    }

    /// Ends a turn that was dropped with the task that held it: what is left of the message is found in the store.
    pub fn lost(&mut self, id: TurnId) {
        if let Some(again) = self.under_way.get_mut(&(id.line, id.message)) {
            *again = Again::Yes;
            self.end(id, 0, 0);
        }
    }

    /// The share of an account. It is kept while the account has mail here.
    pub fn set_weight(&mut self, account: AccountId, weight: Weight) {
        self.account_mut(account).weight = weight;
    }

    /// The most connections to a hop, where it has a limit of its own; kept while the hop has mail or connections.
    pub fn set_hop_limit(&mut self, hop: HopId, connections_max: u32) {
        self.hop_mut(hop).connections_max = connections_max;
        self.list_hop(hop);
    }

    /// A connection to the hop is open or being opened.
    pub fn opened(&mut self, hop: HopId) {
        self.hop_mut(hop).open += 1;
    }

    /// A connection to the hop is closed, or was never reached.
    pub fn closed(&mut self, hop: HopId) {
        if let Some(state) = self.hops.get_mut(&hop) {
            state.open = state.open.saturating_sub(1);
            self.list_hop(hop);
            self.forget_hop_if_idle(hop);
        }
    }

    /// Whether the hop has mail free to leave and fewer connections than it may have and could use.
    pub fn wants_connection(&self, hop: HopId) -> bool {
        !self.gated && self.hops.get(&hop).is_some_and(HopState::wants_connection)
    }

    /// The next hop that wants a connection, each in its turn. It is named again while it still wants one, so open it
    /// ([`Dispatch::opened`]) or stop asking.
    pub fn next_wanting(&mut self, now: Moment) -> Option<HopId> {
        self.wake(now);
        if self.gated {
            return None;
        }
        while let Some(hop) = self.wanting.pop_front() {
            let Some(state) = self.hops.get_mut(&hop) else { continue };
            if state.wants_connection() {
                self.wanting.push_back(hop);
                return Some(hop);
            }
            state.listed = false;
        }
        None
    }

    /// Lines kept, messages in their heads, turns under way.
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.index.len(), self.heads, self.under_way.len())
    }

    /// Whether anything is known of an account here (lines, a park, a gate, what it had), so that its number must stay.
    pub fn knows_account(&self, account: AccountId) -> bool {
        self.accounts.contains_key(&account)
    }

    /// Whether a hop has lines, connections, a park or a gate here, so that its number must stay.
    pub fn knows_hop(&self, hop: HopId) -> bool {
        self.hops.contains_key(&hop)
    }

    /// Whether mail stands at a hop, of whatever state.
    pub fn has_lines(&self, hop: HopId) -> bool {
        self.hops.get(&hop).is_some_and(|state| state.lines > 0)
    }

    /// Forgets accounts without lines whose last turn is behind all others. About once a minute.
    pub fn sweep(&mut self) {
        let now = self.virtual_now;
        self.accounts.retain(|_, a| {
            a.lines.is_some() || !a.may_go() || a.finish.iter().zip(now).any(|(finish, now)| *finish > now)
        });
        if self.accounts.len() * 4 < self.accounts.capacity() {
            self.accounts.shrink_to(self.accounts.len() * 2);
        }
    }

    /// The line whose turn it is, its tag brought up to date with what its account had meanwhile.
    fn offer(&mut self, hop: HopId) -> Option<(LineNo, Offer)> {
        let state = self.hops.get(&hop).filter(|state| !self.gated && state.may_go())?;
        let mut no = state.first()?;
        while self.move_on(no) {
            no = self.hops.get(&hop)?.first()?;
        }
        let alone = self.hops.get(&hop)?.ready_lines() == 1;
        let most = if alone { self.turn_recipients_alone } else { self.turn_recipients };
        let state = self.state(no);
        let item = state.heads.front().expect("a ready line has a head");
        Some((no, Offer { line: state.line, id: item.id, recipients: item.recipients.min(most) }))
    }

    fn take(&mut self, no: LineNo, offer: Offer, recipients: u32) -> Turn {
        let recipients = recipients.clamp(1, offer.recipients);
        let tag = self.state(no).tag;
        self.unready(no);
        let item = self.pop_head(no);
        self.state_mut(no).turns += 1;
        self.under_way.insert((no, item.id), Again::No);
        let class = offer.line.class;
        let account = self.account_mut(offer.line.account);
        account.finish[class as usize] = tag + account.weight.cost(recipients);
        let bulk_share_percent = self.bulk_share_percent;
        let hop = self.hop_mut(offer.line.hop);
        hop.charge(class, tag, recipients, bulk_share_percent);
        hop.turns += 1;
        self.virtual_now[class as usize] = self.virtual_now[class as usize].max(tag);
        self.ready(no);
        self.ask_for_refill(no);
        Turn::new(TurnId { line: no, message: item.id }, offer.line, recipients, item.recipients - recipients)
    }

    fn end(&mut self, id: TurnId, left: u32, refund: u32) {
        let TurnId { line: no, message } = id;
        let again = self.under_way.remove(&(no, message)).expect("a turn is spent once");
        let state = self.state_mut(no);
        state.turns -= 1;
        let line = state.line;
        let account = self.account_mut(line.account);
        let cost = account.weight.cost(refund);
        let finish = &mut account.finish[line.class as usize];
        *finish = finish.saturating_sub(cost);
        let hop = self.hop_mut(line.hop);
        hop.turns -= 1;
        self.unready(no);
        if left > 0 {
            self.state_mut(no).heads.push_front(Item { id: message, recipients: left });
            self.heads += 1;
        }
        if again == Again::Yes {
            self.more_in_store(no);
        }
        self.ready(no);
        self.ask_for_refill(no);
        self.list_hop(line.hop);
        self.forget_line_if_idle(no);
    }

    /// Where the next turn of a line that becomes ready starts in its hop's virtual time, and how far that may move on.
    fn start(&self, line: Line) -> (u64, u64) {
        let class = line.class as usize;
        let now = self.hops.get(&line.hop).map_or(self.virtual_now[class], |hop| hop.virtual_now[class]);
        let account = self.account(line.account);
        let start_max = now + account.weight.cost(AHEAD_TURNS * self.turn_recipients);
        (account.finish[class].clamp(now, start_max), start_max)
    }

    /// Moves a ready line on for the turns that its account had elsewhere since; whether it had any. The bound is that of
    /// when it became ready: were it to move with the hop's time, the line's turn would never come.
    fn move_on(&mut self, no: LineNo) -> bool {
        let state = self.state(no);
        let (line, tag, messages) = (state.line, state.tag, state.heads.len());
        let moved = self.account(line.account).finish[line.class as usize].min(state.tag_max);
        if moved > tag {
            let hop = self.hop_mut(line.hop);
            hop.remove(line.class, tag, no, messages);
            hop.insert(line.class, moved, no, messages);
            self.state_mut(no).tag = moved;
        }
        moved > tag
    }

    /// Puts a line into its hop's ready set if nothing stands in its way.
    pub(super) fn ready(&mut self, no: LineNo) {
        let state = self.state(no);
        let (line, messages) = (state.line, state.heads.len());
        let free = messages > 0 && state.parked_until == Moment::BEGINNING && self.account(line.account).may_go();
        if state.ready || !free {
            return;
        }
        let (tag, tag_max) = self.start(line);
        let state = self.state_mut(no);
        (state.tag, state.tag_max) = (tag, tag_max);
        state.ready = true;
        self.hop_mut(line.hop).insert(line.class, tag, no, messages);
        self.list_hop(line.hop);
    }

    /// Takes a line out of its hop's ready set. Its heads may change only while it is out.
    pub(super) fn unready(&mut self, no: LineNo) {
        let state = self.state_mut(no);
        if std::mem::take(&mut state.ready) {
            let (line, tag, messages) = (state.line, state.tag, state.heads.len());
            self.hop_mut(line.hop).remove(line.class, tag, no, messages);
        }
    }

    fn pop_head(&mut self, no: LineNo) -> Item {
        self.heads -= 1;
        self.state_mut(no).heads.pop_front().expect("a line that was offered has a head")
    }

    /// Names a hop among those that may want a connection.
    pub(super) fn list_hop(&mut self, hop: HopId) {
        if let Some(state) = self.hops.get_mut(&hop)
            && !state.listed
            && state.wants_connection()
        {
            state.listed = true;
            self.wanting.push_back(hop);
        }
    }

    pub(super) fn state(&self, no: LineNo) -> &LineState {
        self.lines[no.place()].as_ref().expect("a line is kept while it has heads, turns or more in the store")
    }

    pub(super) fn state_mut(&mut self, no: LineNo) -> &mut LineState {
        self.lines[no.place()].as_mut().expect("a line is kept while it has heads, turns or more in the store")
    }

    pub(super) fn account(&self, account: AccountId) -> &AccountState {
        self.accounts.get(&account).expect("an account is kept while it has lines")
    }

    pub(super) fn account_mut(&mut self, account: AccountId) -> &mut AccountState {
        self.accounts.entry(account).or_insert_with(|| AccountState::new(Weight::default()))
    }

    pub(super) fn hop_mut(&mut self, hop: HopId) -> &mut HopState {
        let (connections_max, virtual_now) = (self.hop_connections_max, self.virtual_now);
        self.hops.entry(hop).or_insert_with(|| HopState::new(connections_max, virtual_now))
    }

    pub(super) fn forget_hop_if_idle(&mut self, hop: HopId) {
        if self.hops.get(&hop).is_some_and(HopState::is_idle) {
            self.hops.remove(&hop);
        }
    }

    pub(super) fn line_no(&self, line: Line) -> Option<LineNo> {
        self.index.get(&line).copied()
    }

    /// Makes a line, unless there are as many as there may be.
    pub(super) fn make_line(&mut self, line: Line) -> Option<LineNo> {
        if let Some(no) = self.line_no(line) {
            return Some(no);
        }
        if self.index.len() >= self.lines_max {
            self.lines_in_store = true;
            return None;
        }
        let no = self.free_lines.pop().unwrap_or_else(|| {
            self.lines.push(None);
            LineNo::at(self.lines.len() - 1)
        });
        let account = self.account_mut(line.account);
        let after = account.lines.replace(no);
        if let Some(after) = after {
            self.state_mut(after).before = Some(no);
        }
        self.hop_mut(line.hop).lines += 1;
        self.lines[no.place()] = Some(LineState {
            line,
            tag: 0,
            tag_max: 0,
            parked_until: Moment::BEGINNING,
            heads: super::heads::Heads::None,
            before: None,
            after,
            turns: 0,
            ready: false,
            store: InStore::Nothing,
        });
        self.index.insert(line, no);
        Some(no)
    }

    pub(super) fn forget_line_if_idle(&mut self, no: LineNo) {
        let state = self.state(no);
        if !state.heads.is_empty() || state.turns > 0 || state.store != InStore::Nothing {
            return;
        }
        let (line, before, after) = (state.line, state.before, state.after);
        match before {
            Some(before) => self.state_mut(before).after = after,
            None => self.account_mut(line.account).lines = after,
        }
        if let Some(after) = after {
            self.state_mut(after).before = before;
        }
        self.lines[no.place()] = None;
        self.free_lines.push(no);
        self.index.remove(&line);
        self.hop_mut(line.hop).lines -= 1;
        self.forget_hop_if_idle(line.hop);
        if self.index.is_empty() && self.under_way.is_empty() {
            // A quiet moment: what a busy hour took goes back.
            (self.lines, self.free_lines) = (Vec::new(), Vec::new());
            self.index.shrink_to_fit();
        }
    }
}
