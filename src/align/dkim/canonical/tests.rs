//! Canonical forms against the RFC's words.

use aws_lc_rs::digest::digest;

use super::*;

/// The RFC's words, without a thought for speed.
fn body_slowly(form: Form, body: &[u8]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut at = 0;
    while at < body.len() {
        if body[at..].starts_with(b"\r\n") {
            lines.push(Vec::new());
            at += 2;
        } else {
            lines.last_mut().unwrap().push(body[at]);
            at += 1;
        }
    }
    if form == Form::Relaxed {
        for line in &mut lines {
            let mut out = Vec::new();
            for byte in line.iter().map(|b| if *b == b'\t' { b' ' } else { *b }) {
                if byte != b' ' || out.last() != Some(&b' ') {
                    out.push(byte);
                }
            }
            if out.last() == Some(&b' ') {
                out.pop();
            }
            *line = out;
        }
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    let mut text = lines.join(b"\r\n".as_slice());
    if !lines.is_empty() || form == Form::Simple {
        text.extend_from_slice(b"\r\n");
    }
    text
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(2_000))]
    #[test]
    fn bodies_hash_as_the_rfc_says_however_they_are_cut(
        body in proptest::collection::vec(proptest::sample::select(b"\r\n \tab.".to_vec()), 0..24),
        crlf in proptest::bool::ANY,
        cut in 0_usize..24,
        limit in proptest::option::of(0_u64..16),
    ) {
        // Half of the bodies have their lone line feeds made line ends.
        let body = if crlf { String::from_utf8(body).unwrap().replace('\n', "\r\n").into_bytes() } else { body };
        for form in [Form::Simple, Form::Relaxed] {
            let slow = body_slowly(form, &body);
            let counted = &slow[..slow.len().min(usize::try_from(limit.unwrap_or(u64::MAX)).unwrap())];
            let mut hash = BodyHash::new(form, limit);
            let (one, two) = body.split_at(cut.min(body.len()));
            hash.update(one);
            hash.update(two);
            let (got, length) = hash.finish();
            proptest::prop_assert_eq!(length, slow.len() as u64, "{:?} {:?}", form, String::from_utf8_lossy(&body));
            let expected = digest(&SHA256, counted);
            proptest::prop_assert_eq!(got.as_ref(), expected.as_ref(), "{:?} {:?}", form, String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn a_header_is_found_wherever_the_pieces_are_cut(cuts in proptest::collection::vec(0_usize..60, 0..4)) {
        let message = b"From: a@b.example\r\nSubject: x\r\n y\r\nTo: c\r\n\r\nbody\r\n\r\nmore\r\n";
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(message.len())).chain([0, message.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &message[w[0]..w[1]]).collect();
        let leaving = Leaving::new(&pieces).unwrap();
        let fields: Vec<&[u8]> = leaving.fields().map(|f| f.0).collect();
        proptest::prop_assert_eq!(fields, vec![b"From: a@b.example\r\n".as_slice(), b"Subject: x\r\n y\r\n", b"To: c\r\n"]);
        proptest::prop_assert_eq!(body_of(&leaving), b"body\r\n\r\nmore\r\n".to_vec());
    }
}

#[test]
fn the_example_of_rfc_6376_3_4_5() {
    let leaving = Leaving::new(&[b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"]).unwrap();
    let canonical = |form| {
        let mut header = Vec::new();
        leaving.fields().for_each(|field| field.canonical(form, &mut header));
        String::from_utf8(header).unwrap()
    };
    assert_eq!(canonical(Form::Relaxed), "a:X\r\nb:Y Z\r\n");
    assert_eq!(canonical(Form::Simple), "A: X\r\nB : Y\t\r\n\tZ  \r\n");
    assert_eq!(body_slowly(Form::Relaxed, &body_of(&leaving)), b" C\r\nD E\r\n");
    assert_eq!(body_slowly(Form::Simple, &body_of(&leaving)), b" C \r\nD \t E\r\n");
}

#[test]
fn fields_are_taken_from_the_bottom_each_once() {
    let leaving = Leaving::new(&[b"To: 1\r\nFrom: a\r\nTo: 2\r\n\r\n"]).unwrap();
    let mut out = Vec::new();
    leaving.signed_fields(["to", "From", "TO", "to", "Cc"].into_iter(), Form::Relaxed, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "to:2\r\nfrom:a\r\nto:1\r\n");
}

#[test]
fn an_endless_header_is_not_looked_at() {
    let long = vec![b'a'; HEADER_BYTES_MAX + 10];
    assert_eq!(Leaving::new(&[&long]).err(), Some(HeaderTooLong));
    assert_eq!(Leaving::new(&["A: b\r\n".repeat(FIELDS_MAX + 1).as_bytes()]).err(), Some(HeaderTooLong));
    assert!(Leaving::new(&[b"A: b\r\n\r\n", &long]).is_ok());
}

fn body_of(leaving: &Leaving<'_>) -> Vec<u8> {
    match &leaving.body {
        Content::Pieces(pieces) => pieces.concat(),
        Content::Hashed(_) => panic!("hashed elsewhere"),
    }
}

#[test]
fn a_body_hashed_as_it_is_read_has_the_same_hashes() {
    let header =
        b"DKIM-Signature: v=1; c=simple/simple; l=7; b=x\r\nDKIM-Signature: c=relaxed\r\nFrom: a@example.com\r\n\r\n";
    let text = b"line one  \r\n\r\n last\t\r\n \r\n\r\n";
    let whole = [&header[..], text].concat();
    let pieces = [&*whole];
    let whole = Leaving::new(&pieces).unwrap();
    assert_eq!(whole.body_bytes(), text.len());
    let mut hashing = whole.hashing(&[(Form::Relaxed, None)]);
    for piece in text.chunks(3) {
        hashing.update(piece);
    }
    let begun = [&header[..]];
    let read = Leaving::new(&begun).unwrap().with_body(hashing);
    for wanted in [(Form::Relaxed, None), (Form::Simple, Some(7)), (Form::Simple, None)] {
        assert_eq!(read.body_hash(wanted), whole.body_hash(wanted), "{wanted:?}");
    }
    assert_eq!(read.body_hash((Form::Relaxed, Some(1))), ([0; 32], 0), "nobody asked for it");
}

#[test]
fn a_body_is_hashed_in_few_forms() {
    let header_of = |lengths: std::ops::Range<usize>| {
        let fields = lengths.map(|n| format!("DKIM-Signature: v=1; c=relaxed/relaxed; l={n}; b=x\r\n"));
        fields.collect::<String>() + "From: a@example.com\r\n\r\nbody\r\n"
    };
    let forms = |header: &str, ours: &[Wanted]| Leaving::new(&[header.as_bytes()]).unwrap().hashing(ours).0.len();
    assert_eq!(forms(&header_of(0..0), &[]), 0, "nothing wants a hash, so the body need not be read");
    assert_eq!(forms(&header_of(0..0), &[(Form::Relaxed, None)]), 1);
    let twice = format!("DKIM-Signature: v=1; c=relaxed/relaxed; l=3; b=y\r\n{}", header_of(3..4));
    assert_eq!(forms(&twice, &[]), 1, "two that want the same share it");
    assert_eq!(forms(&header_of(0..50), &[(Form::Relaxed, None)]), FORMS_MAX);
}

#[test]
fn further_fields_change_nothing_below_them() {
    let message = b"From: a@example.com\r\n\r\nbody\r\n";
    let (one, field) = ([&message[..]], b"X: 1\r\n\t2\r\n");
    let leaving = Leaving::new(&one).unwrap();
    let (under, both) = (leaving.under(field).unwrap(), [&field[..], &message[..]]);
    let anew = Leaving::new(&both).unwrap();
    assert!(under.fields().map(|field| field.0).eq(anew.fields().map(|field| field.0)));
    assert_eq!(under.body_hash((Form::Simple, None)), anew.body_hash((Form::Simple, None)));
    assert_eq!(leaving.under(&vec![b'a'; HEADER_BYTES_MAX]).err(), Some(HeaderTooLong));
}
