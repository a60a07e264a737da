//! Any bytes make a message within its bounds: random ones, pieces that mean something, and real mail with faults.

use outguard::message::Bounds;
use proptest::prelude::*;

use crate::{is_within, judged};

/// Pieces that mean something to a reader of mail.
pub(crate) const PIECES: [&str; 44] = [
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    "\0",
    " ",
    "a",
    ":",
    ";",
    "\"",
    "=",
    "?",
    "--b",
    "--b\n",
    "--b--\n",
    "--bb\n",
    "From: ",
    "Subject: ",
    "Date: Fri, 21 Nov 1997 09:55:06 -0600\n",
    "To: a@example.org, ",
    "<a@[IPv6:",
    "Content-Type: multipart/mixed; boundary=b\n",
    "Content-Type: multipart/alternative; boundary=\"bb\"\n",
    "Content-Type: multipart/report; boundary=b\n",
    "Content-Type: multipart/digest; boundary=b\n",
    "Content-Type: message/rfc822\n",
    "Content-Type: text/html; charset=",
    "Content-Type: text/plain; charset=utf-16le; format=flowed; name*=utf-8''%e2\n",
    "Content-Type: application/zip; name=a.zip\n",
    "Content-Disposition: attachment; filename=\"a.exe\"\n",
    "Content-Transfer-Encoding: base64\n",
    "Content-Transfer-Encoding: quoted-printable\n",
    "Content-Transfer-Encoding: uuencode\n",
    "iso-2022-jp\n\u{1b}$B",
    "=?utf-8?b?",
    "?=",
    "=E9=",
    "UEsDBBQACQAIAAAA",
    "<a href='http://",
    "<p style='display:none",
    "<!--",
    "&amp",
    "begin 644 a.exe\nM",
    "é\u{feff}\u{202e}",
];

fn any_bounds() -> impl Strategy<Value = Bounds> {
    (0..300_usize, 0..4_usize, 0..6_usize, 0..6_usize, 0..40_usize, 0..60_usize, 0..3_usize, 0..3_usize).prop_map(
        |(message, depth, parts, fields, field, text, links, attachments)| Bounds {
            message_bytes_max: message,
            depth_max: depth,
            parts_max: parts,
            fields_max: fields,
            field_bytes_max: field,
            text_bytes_max: text,
            links_max: links,
            attachments_max: attachments,
            names_max: attachments,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        is_within(&judged(&bytes, &Bounds::default()), &Bounds::default());
    }

    #[test]
    fn any_pieces_are_read(pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)) {
        is_within(&judged(pieces.concat().as_bytes(), &Bounds::default()), &Bounds::default());
    }

    #[test]
    fn any_bounds_hold(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60),
        bounds in any_bounds(),
    ) {
        is_within(&judged(pieces.concat().as_bytes(), &bounds), &bounds);
    }
}
