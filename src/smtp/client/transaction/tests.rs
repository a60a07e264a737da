//! Transactions as dialogues, honest and hostile.

use super::super::reply::ReplyReader;
use super::*;

const BARE: Extensions = Extensions {
    pipelining: false,
    size: false,
    eightbitmime: false,
    smtputf8: false,
    dsn: false,
    starttls: false,
    auth_plain: false,
    auth_login: false,
};

fn facts() -> MailFacts<'static> {
    MailFacts { reverse_path: "a@example.org", size_bytes: 9, eightbit: false, smtputf8: false, ret: None, envid: None }
}

fn rcpt(address: &str) -> RcptFacts<'_> {
    RcptFacts { address: address.into(), notify: None, original: None }
}

/// Plays a transaction to two recipients. `C: ` lines are what we must send (joined by `|`), `S: ` the replies, `= ` the
/// verdicts at the end.
fn play(pipelining: bool, before: Before, dialogue: &str) {
    let offered = Extensions { pipelining, ..BARE };
    let mut transaction = Transaction::new(offered, facts(), &[rcpt("b@x"), rcpt("c@x")], before);
    let mut said = transaction.bytes(transaction.begin()).to_vec();
    for line in dialogue.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (who, text) = line.split_once(' ').unwrap();
        match who {
            "C:" => assert_eq!(String::from_utf8_lossy(&said).trim_end().replace("\r\n", "|"), text, "in\n{dialogue}"),
            "S:" => {
                let (reply, _) = ReplyReader::new().read(format!("{text}\r\n").as_bytes()).unwrap();
                said = match transaction.reply(reply.unwrap()) {
                    Ok(Step::Wait) => b"(wait)".to_vec(),
                    Ok(Step::Send(range)) => transaction.bytes(range).to_vec(),
                    Ok(Step::Content) => b"(content)".to_vec(),
                    Ok(Step::LoneDot) => b"(dot)".to_vec(),
                    Ok(Step::Done) => b"(done)".to_vec(),
                    Err(fault) => format!("({fault:?})").into_bytes(),
                };
            }
            _ => {
                let words = |index| match transaction.verdict(index) {
                    Some((stage, reply)) => format!("{stage} {}", reply.code),
                    None => "none".to_owned(),
                };
                assert_eq!(format!("{}, {}", words(0), words(1)), text, "in\n{dialogue}");
            }
        }
    }
}

#[test]
fn pipelined() {
    let head = "C: MAIL FROM:<a@example.org>|RCPT TO:<b@x>|RCPT TO:<c@x>|DATA\n";
    let cases = [
        "S: 250 ok\nC: (wait)\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: (content)\nS: 250 ok\nC: (done)\n= the content 250, the content 250",
        // One refused: the other's content goes.
        "S: 250 ok\nS: 550 no\nS: 250 ok\nS: 354 go\nC: (content)\nS: 250 ok\n= RCPT 550, the content 250",
        // All refused, and the server awaits content all the same.
        "S: 250 ok\nS: 550 no\nS: 450 no\nS: 354 go\nC: (dot)\nS: 554 empty\nC: (done)\n= RCPT 550, RCPT 450",
        "S: 250 ok\nS: 550 no\nS: 450 no\nS: 503 no\nC: (done)\n= RCPT 550, RCPT 450",
        "S: 452 full\nS: 503 no\nS: 503 no\nS: 503 no\nC: (done)\n= MAIL 452, MAIL 452",
        // MAIL refused, RCPT taken: a hostile server cannot make us send content to nobody.
        "S: 550 no\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: (dot)\n= MAIL 550, MAIL 550",
        "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 451 later\nC: (done)\n= DATA 451, DATA 451",
        // 2xx to DATA: who knows what it takes for content.
        "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\nC: (Unasked)\n= none, none",
        "S: 354 go\nC: (Unasked)",
        // 421 in the middle, then the connection is gone.
        "S: 250 ok\nS: 250 ok\nS: 421 bye\n= none, RCPT 421",
    ];
    for case in cases {
        play(true, Before::Clean, &format!("{head}{case}"));
    }
    play(
        true,
        Before::LeftOpen,
        "C: RSET|MAIL FROM:<a@example.org>|RCPT TO:<b@x>|RCPT TO:<c@x>|DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nC: (content)",
    );
}

#[test]
fn one_by_one() {
    let head = "C: MAIL FROM:<a@example.org>\n";
    let cases = [
        "S: 250 ok\nC: RCPT TO:<b@x>\nS: 250 ok\nC: RCPT TO:<c@x>\nS: 550 no\nC: DATA\nS: 354 go\nC: (content)\nS: 250 ok\nC: (done)\n= the content 250, RCPT 550",
        "S: 550 no\nC: (done)\n= MAIL 550, MAIL 550", // no RCPT after a refused MAIL
        "S: 250 ok\nS: 550 no\nS: 450 no\nC: (done)\n= RCPT 550, RCPT 450", // nobody is left: no DATA
        "S: 250 ok\nS: 421 bye\nC: (done)\n= RCPT 421, none",
    ];
    for case in cases {
        play(false, Before::Clean, &format!("{head}{case}"));
    }
    play(false, Before::LeftOpen, "C: RSET\nS: 250 ok\nC: MAIL FROM:<a@example.org>");
}

#[test]
fn parameters_only_where_offered() {
    let original = OriginalRecipient { address_type: "rfc822".into(), address: "o+x@y".into() };
    let mail = MailFacts { eightbit: true, smtputf8: true, ret: Some(Ret::Headers), envid: Some("e=1"), ..facts() };
    let notify = Some(Notify { success: true, failure: true, delay: false });
    let rcpts = [RcptFacts { address: "b@x".into(), notify, original: Some(&original) }];
    let all = Extensions { pipelining: true, size: true, eightbitmime: true, smtputf8: true, dsn: true, ..BARE };
    let cases = [
        (
            all,
            "MAIL FROM:<a@example.org> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=e+3D1|\
             RCPT TO:<b@x> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+2Bx@y|DATA|",
        ),
        (Extensions { pipelining: true, ..BARE }, "MAIL FROM:<a@example.org>|RCPT TO:<b@x>|DATA|"),
        (
            Extensions { pipelining: true, dsn: true, ..BARE },
            "MAIL FROM:<a@example.org> RET=HDRS ENVID=e+3D1|RCPT TO:<b@x> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;o+2Bx@y|DATA|",
        ),
    ];
    for (offered, expected) in cases {
        let transaction = Transaction::new(offered, mail, &rcpts, Before::Clean);
        let wire = String::from_utf8_lossy(transaction.bytes(transaction.begin())).replace("\r\n", "|");
        assert_eq!(wire, expected);
    }
}

#[test]
fn other_scripts_in_orcpt_are_written_in_ascii() {
    let original = |kind: &str, address: &str| OriginalRecipient { address_type: kind.into(), address: address.into() };
    assert_eq!(original_xtext(&original("utf-8", "ü+a@x")), "\\x{FC}\\x{2B}a@x");
    assert_eq!(original_xtext(&original("rfc822", "a+b@x")), "a+2Bb@x");
    assert_eq!(notify_list(Notify::NEVER), "NEVER");
}
