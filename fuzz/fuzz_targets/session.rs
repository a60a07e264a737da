//! No stream makes the session panic, and no split of it changes a reply.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use outguard::smtp::framing::StrayPolicy;
use outguard::smtp::server::{Access, AuthOffer, ClientRights, ServerSettings, Session, Step, TlsState, Trust};
use outguard::smtp::{ContentAnswer, Refusal};

const RIGHTS: ClientRights = ClientRights { access: Access::Relay, trust: Trust::Trusted, auth: AuthOffer::Always };

fuzz_target!(|data: &[u8]| {
    let Some((&split, stream)) = data.split_first() else { return };
    let (a, b) = stream.split_at(usize::from(split).min(stream.len()));
    assert_eq!(play(&[a, b]), play(&[stream]));
});

fn play(pieces: &[&[u8]]) -> Vec<u8> {
    let settings = ServerSettings {
        own_name: "relay.example".into(),
        line_bytes_max: 128,
        recipients_max: 3,
        message_bytes_max: 64,
        commands_max: 50,
        errors_max: 20,
        strays: StrayPolicy::Refuse,
    };
    let mut session = Session::new(Arc::new(settings), RIGHTS, TlsState::Unavailable);
    let (mut held, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let mut input = held.as_slice();
        loop {
            match session.feed(&mut input, &mut out) {
                Step::Read => break,
                Step::Close => return out,
                Step::DecideAuth(_) => session.auth_decided(Ok(()), &mut out),
                Step::DecideMail => session.mail_decided(Ok(()), &mut out),
                Step::DecideRecipient => session.recipient_decided(Ok(()), &mut out),
                Step::DecideContent => session.content_decided(Ok(()), &mut out),
                Step::Content(_) | Step::ContentRefused(_) => {}
                Step::Message(_) => {
                    session.content_answered(ContentAnswer::Refused(Refusal::STORE_FULL), &mut out);
                }
                Step::StartTls => session.tls_started(RIGHTS),
                Step::Xclient(_) => session.client_judged(RIGHTS, &mut out),
            }
        }
        held = input.to_vec();
    }
    out
}
