//! Reading which deliveries of the queue a change is about.

use rusqlite::params;

use super::read_history::passes_delivery;
use super::readers::{Read, Reader};
use super::tx::number;
use super::waiting::Place;
use crate::mail::QueueId;
use crate::store::{Destination, Filter, Reroute, RouteFacts};

impl Reader {
    /// The waiting deliveries of one message.
    pub(super) fn places_of(&self, id: QueueId) -> Read<Vec<Place>> {
        let mut statement = self.sql(
            "SELECT account, class, destination, due, message, place FROM delivery WHERE message = ? AND state = 0",
        )?;
        let rows = statement.query_map(params![number(id)], Place::of_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Those of a page that the filter lets through.
    pub(super) fn filtered(&self, filter: &Filter, page: Vec<Place>) -> Read<Vec<Place>> {
        if filter.recipient.is_none() {
            return Ok(page);
        }
        let mut kept = Vec::new();
        for place in page {
            if let Some(addresses) = self.addresses(place.message, place.index)?
                && passes_delivery(filter, &addresses.recipient)
            {
                kept.push(place);
            }
        }
        Ok(kept)
    }

    /// Those of a page that `route` sends elsewhere, with where.
    pub(super) fn rerouted(&self, page: Vec<Place>, route: &Reroute) -> Read<Vec<(Place, Destination)>> {
        let mut changed = Vec::new();
        for place in page {
            let Some(addresses) = self.addresses(place.message, place.index)? else { continue };
            let waits_at = self.name(place.destination)?;
            let to = route(&RouteFacts {
                account: &self.account(place.account)?,
                reverse_path: &addresses.reverse_path,
                recipient: &addresses.recipient,
                header_from: addresses.header_from.as_deref(),
                destination: &waits_at,
                is_report: addresses.is_report,
            });
            if *to.0 != *waits_at {
                changed.push((place, to));
            }
        }
        Ok(changed)
    }
}
