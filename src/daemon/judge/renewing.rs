//! A message that was held and is released, or waited while keys or egresses were changed: signed anew, and its egresses
//! chosen anew. Records and keys may have been mended meanwhile, and its signature may be near its end. What a person
//! released is not judged as a hold again.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::aligning::{Matter, Whole};
use super::caught::caught;
use super::learning::envelope_of;
use super::{Judging, Live};
use crate::account::AccountSource;
use crate::align::dkim::Leaving;
use crate::align::settings::Deed;
use crate::align::verdict::{Alignment, Finding};
use crate::clock::WallMs;
use crate::daemon::engine::{Anew, Outlook, Print, Renewal, Renewing, Waiting};
use crate::delivery::Router;
use crate::guard::Decision;
use crate::mail::QueueId;
use crate::message::Message;
use crate::store::{Content, DeliveryRow, DeliveryState, Destination, MessageRow, Refiled, Renewed, Store, StoreError};

/// Fields of our prefix that are made anew; all others stay.
const MADE_ANEW: [&str; 4] = ["DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"];

impl Judging {
    /// What a held message is to leave with, and from where. `None`: as it is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in crate::daemon) async fn renewed(
        &self,
        store: &dyn Store,
        id: QueueId,
        at: WallMs,
    ) -> Result<Option<Renewed>, StoreError> {
        let Some((row, deliveries)) = store.message(id).await? else { return Ok(None) };
        if !deliveries.iter().any(|delivery| delivery.state == DeliveryState::Held) {
            return Ok(None);
        }
        let content = match store.content(id).await {
            Ok(content) => content,
            Err(StoreError::NoSuchMessage(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let live = self.live();
        let message = Waiting { row: &row, deliveries: &deliveries, content: &content };
        match self.looked_at(&live, message, DeliveryState::Held, at).await {
            Look::Made(made) => Ok(Some(made.renewed)),
            Look::Undecided | Look::Never | Look::Fault => Ok(None),
        }
    }

    /// Signs anew, and chooses egresses anew, for the recipients in that state.
    async fn looked_at(&self, live: &Live, of: Waiting<'_>, state: DeliveryState, at: WallMs) -> Look {
        caught(self.made_anew(live, of, state, at)).await.unwrap_or(Look::Fault)
    }

    async fn made_anew(&self, live: &Live, of: Waiting<'_>, state: DeliveryState, at: WallMs) -> Look {
        if !live.aligning.is_on() {
            return Look::without(of, state);
        }
        if of.row.source == AccountSource::Own {
            let bytes = match beginning(live, of.content).await {
                Ok(bytes) => bytes,
                Err(look) => return look,
            };
            let from = of.row.header_from.clone().unwrap_or_default();
            let prefix = prefix_with(&of.content.prefix, &live.aligning.signature_of_own(bytes, from, at).await);
            let renewed = Renewed { prefix, refiled: Vec::new() };
            return Look::Made(Made { renewed, finding: None, outlook: Outlook::ForGood });
        }
        let (bytes, message) = match self.read(live, of.content).await {
            Ok(read) => read,
            Err(look) => return look,
        };
        let chosen = of.deliveries.iter().filter(|delivery| delivery.state == state).cloned().collect();
        anew(live, (of.row, chosen), of.content, (&bytes, &message), at).await
    }

    /// The bytes that are looked at, and the message in them.
    async fn read(&self, live: &Live, content: &Content) -> Result<(Bytes, Message), Look> {
        let bytes = beginning(live, content).await?;
        let entered = match &self.under_judgement {
            Some(file) => Some(file.enter(&bytes).ok_or(Look::Never)?),
            None => None,
        };
        let (read, bounds) = (bytes.clone(), live.bounds.clone());
        let message = tokio::task::spawn_blocking(move || Message::parse(&read, &bounds)).await;
        drop(entered);
        Ok((bytes, message.map_err(|_panicked| Look::Fault)?))
    }
}

impl Renewing for Judging {
    fn is_overtaken(&self, Waiting { row, content, .. }: Waiting<'_>, now: WallMs) -> bool {
        let live = self.live();
        let is_overtaken = if live.aligning.is_on() {
            self.is_of_another_basis(row.id) || live.is_signature_old(&content.prefix, row.received, now)
        } else {
            // What is made of mail no longer goes; keys may be gone because they were stolen.
            self.is_of_another_basis(row.id) && bears_ours(&content.prefix)
        };
        is_overtaken && !self.rests(row.id, now)
    }

    fn renewal<'a>(&'a self, waiting: Waiting<'a>, now: WallMs) -> Pin<Box<dyn Future<Output = Renewal> + Send + 'a>> {
        Box::pin(async move {
            let live = self.live();
            let (row, print) = (waiting.row, live.print);
            let is_of_another_basis = self.is_of_another_basis(row.id);
            let made = match self.looked_at(&live, waiting, DeliveryState::Waiting, now).await {
                Look::Made(made) => made,
                Look::Undecided => {
                    self.is_undecided(row.id, print, now);
                    return Renewal::AsItIs;
                }
                Look::Never => {
                    self.was_looked_at(row.id, print);
                    return Renewal::AsItIs;
                }
                Look::Fault => {
                    let reason = "a fault of outguard while it was signed anew; release it, and it leaves as it is";
                    return Renewal::Hold { reason: reason.to_owned(), released: None };
                }
            };
            let fails = if is_of_another_basis { made.fails_now(row) } else { None };
            let anew = Anew { renewed: made.renewed, by: print, outlook: made.outlook };
            match fails {
                Some(reason) => Renewal::Hold { reason, released: Some(anew) },
                None => Renewal::Anew(anew),
            }
        })
    }

    fn holds(&self, by: Print) -> bool {
        self.is_by(by)
    }

    fn was_renewed(&self, id: QueueId, by: Print, outlook: Outlook, now: WallMs) {
        match outlook {
            Outlook::ForGood => self.was_looked_at(id, by),
            Outlook::ForNow => self.is_undecided(id, by, now),
        }
    }

    fn looked_at_by(&self, id: QueueId) -> Option<Print> {
        self.print_of(id)
    }
}

/// What comes of a look at a message.
enum Look {
    /// This.
    Made(Made),
    /// DNS or the disk do not say; another time they may.
    Undecided,
    /// Nothing that holds now makes anything of it.
    Never,
    /// It is more than outguard can read.
    Fault,
}

impl Look {
    /// Nothing is signed or judged any more: what was is taken away, and any egress of the route may carry it.
    fn without(of: Waiting<'_>, state: DeliveryState) -> Self {
        if !bears_ours(&of.content.prefix) {
            return Self::Never;
        }
        let chosen = of.deliveries.iter().filter(|delivery| delivery.state == state);
        let refiled = chosen.map(|delivery| Refiled {
            index: delivery.index,
            from: delivery.destination.clone(),
            to: Router::restricted(&delivery.destination, &[]),
        });
        let renewed = Renewed { prefix: prefix_with(&of.content.prefix, ""), refiled: refiled.collect() };
        Self::Made(Made { renewed, finding: None, outlook: Outlook::ForGood })
    }
}

/// What is made of a message that is looked at again.
struct Made {
    renewed: Renewed,
    finding: Option<Finding>,
    outlook: Outlook,
}

impl Made {
    /// Why receivers would refuse now what they would not have refused when it was let through.
    fn fails_now(&self, row: &MessageRow) -> Option<String> {
        let finding = self.finding.as_ref()?;
        let holds = matches!(finding.deed, Some(Deed::Hold | Deed::Reject));
        // Whoever let it go in spite of that decided about it, be it a person or a rule.
        let was_known = row.verdict.decision != Decision::Send
            || row.verdict.reasons.iter().any(|reason| reason.name == finding.name);
        let sentence = || finding.reasons().next().map(|reason| reason.sentence.into_owned()).unwrap_or_default();
        (holds && !was_known).then(|| format!("looked at anew after a change of the configuration: {}", sentence()))
    }
}

async fn anew(
    live: &Live,
    (row, deliveries): (&MessageRow, Vec<DeliveryRow>),
    content: &Content,
    (bytes, message): (&Bytes, &Message),
    at: WallMs,
) -> Look {
    // By every egress of the route, whichever were chosen before.
    let plain: Vec<Destination> =
        deliveries.iter().map(|delivery| Router::restricted(&delivery.destination, &[])).collect();
    let stood: Vec<_> = deliveries.iter().map(|delivery| (delivery.index, delivery.destination.clone())).collect();
    let matter = Matter {
        bytes,
        message_bytes: row.size_bytes,
        whole: Whole::Stored(&content.body),
        envelope: &envelope_of(row, deliveries),
        destinations: &plain,
        account: &row.account,
        source: row.source,
        at,
    };
    let Ok(aligned) = live.aligning.aligned(&matter, message, &live.router).await else { return Look::Undecided };
    let is_open = aligned.finding.as_ref().is_some_and(|finding| finding.alignment == Alignment::TempError);
    if is_open && aligned.fields.is_empty() {
        return Look::Undecided;
    }
    // Where DNS does not say, what was found before holds on.
    let destinations = if is_open { Vec::new() } else { aligned.destinations.unwrap_or(plain) };
    let prefix = prefix_with(&content.prefix, &aligned.fields);
    let refiled = stood.into_iter().zip(destinations).map(|((index, from), to)| Refiled { index, from, to });
    let renewed = Renewed { prefix, refiled: refiled.collect() };
    let outlook = if is_open { Outlook::ForNow } else { Outlook::ForGood };
    Look::Made(Made { renewed, finding: aligned.finding, outlook })
}

/// The bytes of a message that are looked at.
async fn beginning(live: &Live, content: &Content) -> Result<Bytes, Look> {
    let (body, bytes_max) = (content.body.clone(), live.bounds.message_bytes_max);
    let bytes = tokio::task::spawn_blocking(move || body.beginning(bytes_max)).await;
    bytes.map_err(|_panicked| Look::Fault)?.ok_or(Look::Undecided)
}

/// Whether there is a field in our prefix that is made anew.
fn bears_ours(prefix: &[u8]) -> bool {
    let bears = |leaving: Leaving<'_>| leaving.fields().any(|field| MADE_ANEW.iter().any(|name| field.is(name)));
    Leaving::new(&[prefix]).is_ok_and(bears)
}

/// Our fields, those that are made anew replaced.
fn prefix_with(prefix: &[u8], fields: &str) -> Bytes {
    let mut renewed = Vec::with_capacity(prefix.len() + fields.len());
    let Ok(before) = Leaving::new(&[prefix]) else { return Bytes::copy_from_slice(prefix) };
    for field in before.fields().filter(|field| !MADE_ANEW.iter().any(|name| field.is(name))) {
        renewed.extend_from_slice(field.0);
    }
    renewed.extend_from_slice(fields.as_bytes());
    renewed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What receivers would refuse now is held, unless that was known when it was let go, by a person or by a rule.
    #[test]
    fn what_was_let_go_in_spite_of_it_is_not_held_again() {
        let deeds = crate::align::settings::AlignSettings::default().deeds;
        let made = |finding| {
            let renewed = Renewed { prefix: Bytes::new(), refiled: Vec::new() };
            Made { renewed, finding, outlook: Outlook::ForGood }
        };
        let refused = || made(Some(Finding::unreadable("too long", &deeds)));
        let row = || crate::api::fake::message(1, "ann@example.com", &["bob@example.org"], 0).0;
        let reason = refused().fails_now(&row()).unwrap();
        assert!(reason.starts_with("looked at anew after a change of the configuration: whose word it is"), "{reason}");
        let mut released = row();
        released.verdict.decision = Decision::Hold;
        assert_eq!(refused().fails_now(&released), None, "a person let it go");
        let mut passed = row();
        passed.verdict.reasons.extend(refused().finding.unwrap().reasons());
        assert_eq!(refused().fails_now(&passed), None, "it was sent with that reason");
        assert_eq!(made(None).fails_now(&row()), None);
        let unsure = made(Some(Finding::unsure("DNS is silent", 0, &deeds)));
        assert_eq!(unsure.fails_now(&row()), None, "DNS that does not say holds nothing");
    }

    #[test]
    fn only_signatures_and_seals_of_ours_are_replaced() {
        let prefix = b"Received: from a\r\n\tby b; today\r\nX-Outguard-Score: 5\r\nARC-Seal: i=1;\r\n\tb=x\r\n\
                       DKIM-Signature: v=1;\r\n\tb=old\r\n";
        let kept = "Received: from a\r\n\tby b; today\r\nX-Outguard-Score: 5\r\n";
        let signature = "DKIM-Signature: v=1;\r\n\tb=new\r\n";
        assert_eq!(prefix_with(prefix, signature), format!("{kept}{signature}"));
        assert_eq!(prefix_with(prefix, ""), kept);
        assert_eq!(prefix_with(b"", signature), signature);
        assert!(bears_ours(prefix) && !bears_ours(kept.as_bytes()) && !bears_ours(b""));
    }
}
