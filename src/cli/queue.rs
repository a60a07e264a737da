//! `outguard queue`.

use std::io::Write;

use super::arguments::{FlushArguments, ListArguments, Look, QueueCommand, State};
use super::exit::{Failed, HISTORY};
use super::moment::{deliveries, local, size};
use super::source::{Answer, Place, detail, views};
use super::table::Table;
use super::{json_line, show};
use crate::account::{Account, LocalPart, normal};
use crate::api::client::QueueQuery;
use crate::api::guardian::{ReleaseRequest, RemoveRequest};
use crate::api::view::{Done, FlushRequest, MessageView, QueuePage};
use crate::mail::QueueId;
use crate::store::{DeliveryState, Filter, Page, Reads};

/// Messages asked for at once.
const PAGE_MESSAGES: usize = 500;
/// What deeds need that a store alone cannot do.
const START_IT: &str =
    "only the daemon may change the queue; start it (`systemctl start outguard`) and repeat the command";

pub(super) async fn run(place: &Place, command: &QueueCommand, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    match command {
        QueueCommand::List(which) => list(place, which, look, out).await,
        QueueCommand::Show { id } => show_one(place, id, look, out).await,
        QueueCommand::Flush(which) => flush(place, which, look, out).await,
        QueueCommand::Remove(which) => {
            if let Some(account) = &which.account {
                remove_all(place, account, which.spam, look, out).await?;
            }
            for id in &which.ids {
                remove(place, id, which.spam, look, out).await?;
            }
            Ok(())
        }
        QueueCommand::Release { ids, allow } => {
            let how = ReleaseRequest { allow_ms: allow.map(super::allow::milliseconds) };
            for id in ids {
                let done = Place::needs_daemon(place.client.release(id, &how).await, START_IT)?;
                tell(look, out, &done, &format!("{id}: {} released", deliveries(done.deliveries)))?;
            }
            Ok(())
        }
    }
}

async fn remove(place: &Place, id: &str, spam: bool, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let done = Place::needs_daemon(place.client.remove(id, &RemoveRequest { spam }).await, START_IT)?;
    tell(look, out, &done, &format!("{id}: {} removed", deliveries(done.deliveries)))
}

/// All of an account, a page at a time. What ends meanwhile, or is under way, is passed over.
async fn remove_all(place: &Place, account: &str, spam: bool, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let is_open = |state: &DeliveryState| matches!(state, DeliveryState::Waiting | DeliveryState::Held);
    let (mut after, mut seen) = (None, 0);
    loop {
        let account = Some(account.to_owned());
        let asked = QueueQuery { account, recipient: None, state: None, after, limit: Some(PAGE_MESSAGES) };
        let page = Place::needs_daemon(place.client.queue(&asked).await, START_IT)?;
        for message in &page.messages {
            if message.deliveries.iter().any(|delivery| is_open(&delivery.state)) {
                remove(place, &message.id, spam, look, out).await?;
                seen += 1;
            }
        }
        match page.next {
            Some(next) if !page.messages.is_empty() => after = Some(next),
            _ => break,
        }
    }
    if seen == 0 && look == Look::People {
        writeln!(out, "no messages")?;
    }
    Ok(())
}

async fn flush(place: &Place, which: &FlushArguments, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let request = FlushRequest { id: which.id.clone(), account: which.account.clone(), recipient: which.to.clone() };
    let done = Place::needs_daemon(place.client.flush(&request).await, START_IT)?;
    tell(look, out, &done, &format!("{} due now; limits hold as ever", deliveries(done.deliveries)))
}

pub(super) fn tell(look: Look, out: &mut dyn Write, done: &Done, sentence: &str) -> Result<(), Failed> {
    match look {
        Look::Json => json_line(out, done),
        Look::People => Ok(writeln!(out, "{sentence}")?),
    }
}

async fn list(place: &Place, which: &ListArguments, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let (store, gates) = match place.or_store(place.client.holds().await)? {
        Answer::Daemon(holds) => (None, holds.gates),
        Answer::Store(opened) => {
            let gates = opened.gates().await?;
            (Some(opened), gates)
        }
    };
    // What stands behind a gate is held, and in the store it waits.
    let state = which.state.filter(|state| *state != State::Held || gates.is_empty());
    let mut left = which.limit.unwrap_or(usize::MAX);
    let mut after = None;
    let mut shown = 0;
    while left > 0 {
        let limit = if which.state.is_some() { PAGE_MESSAGES } else { left.min(PAGE_MESSAGES) };
        let asked = QueueQuery {
            account: which.account.clone(),
            recipient: which.to.clone(),
            state: state.map(DeliveryState::from),
            after,
            limit: Some(limit),
        };
        let mut page = match &store {
            None => place.client.queue(&asked).await?,
            Some(store) => stored(place, store, &asked).await?,
        };
        if page.messages.is_empty() {
            break;
        }
        let stands = |message: &MessageView, state: State| {
            message.deliveries.iter().any(|delivery| show::state(delivery) == show::word(state.into()))
        };
        page.messages.retain(|message| which.state.is_none_or(|state| stands(message, state)));
        page.messages.truncate(left);
        left -= page.messages.len();
        shown += page.messages.len();
        if !page.messages.is_empty() {
            print(&page.messages, look, out)?;
        }
        after = page.next;
    }
    if shown == 0 && look == Look::People {
        writeln!(out, "no messages")?;
    }
    Ok(())
}

async fn stored(place: &Place, store: &dyn Reads, asked: &QueueQuery) -> Result<QueuePage, Failed> {
    let name = |name: &str| Account::named(&normal::identity(name, LocalPart::Lower).unwrap_or_default());
    let filter = Filter {
        id: None,
        account: asked.account.as_deref().map(name),
        recipient: asked.recipient.clone(),
        state: asked.state,
    };
    let after: Option<QueueId> = asked.after.as_deref().and_then(|id| id.parse().ok());
    let found = store.list(filter, Page { after, limit: asked.limit.unwrap_or(PAGE_MESSAGES) }).await?;
    let messages = views(place, store, found).await?;
    let next = messages.last().map(|last| last.id.clone());
    Ok(QueuePage { messages, next })
}

fn print(messages: &[MessageView], look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    if look == Look::Json {
        return messages.iter().try_for_each(|message| json_line(out, message));
    }
    let mut table = Table::new(&["ID", "RECEIVED", ">SIZE", "ACCOUNT", "STATE", "NEXT TRY", "TO"]);
    for message in messages {
        table.row(&[
            message.id.clone(),
            local(message.received_ms),
            size(message.size_bytes),
            message.account.to_string(),
            states(message),
            show::next_try(&message.deliveries),
            recipients(message),
        ]);
    }
    Ok(table.print(out)?)
}

/// `waiting`, or with counts where recipients stand differently.
fn states(message: &MessageView) -> String {
    let words = ["held", "under way", "waiting", "delivered", "bounced", "removed"];
    let count = |word| message.deliveries.iter().filter(|delivery| show::state(delivery) == word).count();
    let counts: Vec<(usize, &str)> =
        words.map(|word| (count(word), word)).into_iter().filter(|(n, _)| *n > 0).collect();
    match counts.as_slice() {
        [(_, word)] => (*word).to_owned(),
        _ => counts.iter().map(|(n, word)| format!("{n} {word}")).collect::<Vec<_>>().join(", "),
    }
}

fn recipients(message: &MessageView) -> String {
    let left = |state| matches!(state, DeliveryState::Waiting | DeliveryState::Held | DeliveryState::UnderWay);
    let mut names = message.deliveries.iter().filter(|delivery| left(delivery.state)).map(|delivery| &delivery.to);
    let first = names.next().cloned().unwrap_or_default();
    match names.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

async fn show_one(place: &Place, id: &str, look: Look, out: &mut dyn Write) -> Result<(), Failed> {
    let found = match place.or_store(place.client.message(id).await)? {
        Answer::Daemon(found) => found,
        Answer::Store(store) => {
            let not_found = || Failed::NotFound { what: id.to_owned(), advice: HISTORY };
            let row = store.message(id.parse().map_err(|_| not_found())?).await?.ok_or_else(not_found)?;
            detail(place, &store, row).await?
        }
    };
    match look {
        Look::Json => json_line(out, &found),
        Look::People => Ok(show::detail(&found, out)?),
    }
}
