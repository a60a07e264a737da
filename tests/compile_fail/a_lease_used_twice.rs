// error: E0382
//! A lease is one transaction: the second MAIL needs a lease of its own.

use outguard::delivery::{NextHop, Outgoing, UnderWay};
use outguard::store::{Lease, Stored};

pub fn twice(hops: [NextHop; 2], leases: [Stored<Lease>; 2], messages: [Outgoing; 2]) -> [UnderWay; 2] {
    let ([one, two], [lease, other], [first, second]) = (hops, leases, messages);
    #[cfg(lie)]
    let (other, _unused) = (lease, other);
    [one.mail(lease, first), two.mail(other, second)]
}
