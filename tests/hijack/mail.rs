//! A message as bytes.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use outguard::mail::{Address, BodyType, Envelope, Recipient, ReversePath};

/// One message to be sent.
#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) account: String,
    pub(crate) from: String,
    /// Automatic answers have the null reverse-path; all others their From.
    pub(crate) has_null_path: bool,
    pub(crate) to: Vec<String>,
    /// What To shows in place of the recipients: a list's address.
    pub(crate) shown_to: Option<String>,
    pub(crate) client: IpAddr,
    pub(crate) program: &'static str,
    /// The Message-ID, where it is not one of its own.
    pub(crate) id: Option<&'static str>,
    /// Its Date, where that is not when it comes.
    pub(crate) dated: Option<u64>,
    /// Further fields: List-Id, In-Reply-To …
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) subject: String,
    pub(crate) body: Body,
    /// The recipient does not exist.
    pub(crate) is_to_nobody: bool,
    /// What the text has beyond what rules and model give it: they are wrong at times.
    pub(crate) misjudged_points: i32,
}

/// What it says.
#[derive(Clone)]
pub(crate) enum Body {
    /// Plain text.
    Plain(String),
    /// Plain text and HTML of so many rows.
    Html(String, usize),
    /// Plain text and a file of so many bytes.
    Pdf(String, usize),
    /// A body with the fields that say how to read it, Subject among them.
    Raw(std::rc::Rc<[u8]>),
}

pub(crate) fn ip(network: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, network, host).into()
}

impl Mail {
    /// A plain letter of an account to one recipient; the rest is changed by who writes it.
    pub(crate) fn letter(account: &str, to: String, subject: String, text: String) -> Self {
        Self {
            account: account.to_owned(),
            from: account.to_owned(),
            has_null_path: false,
            to: vec![to],
            shown_to: None,
            client: ip(0, 1),
            program: "Thunderbird 128.2",
            id: None,
            dated: None,
            fields: Vec::new(),
            subject,
            body: Body::Plain(text),
            is_to_nobody: false,
            misjudged_points: 0,
        }
    }

    pub(crate) fn envelope(&self) -> Envelope {
        let recipient = |to: &String| Recipient::plain(Address::parse(to.as_bytes()).unwrap());
        let path: &[u8] = if self.has_null_path { b"" } else { self.from.as_bytes() };
        Envelope {
            reverse_path: ReversePath::parse(path).unwrap(),
            recipients: self.to.iter().map(recipient).collect(),
            body: BodyType::default(),
            smtputf8: false,
            ret: None,
            envid: None,
        }
    }

    /// The message as it comes; `nth` tells it from all others.
    pub(crate) fn bytes(&self, at: u64, nth: u64) -> Vec<u8> {
        let domain = self.from.rsplit_once('@').unwrap().1;
        let sent = jiff::Timestamp::from_millisecond(i64::try_from(self.dated.unwrap_or(at)).unwrap()).unwrap();
        let date = sent.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let to = self.shown_to.as_deref().unwrap_or(&self.to[0]);
        let id = self.id.map_or_else(|| format!("<{at}.{nth}@{domain}>"), str::to_owned);
        let mut head = format!(
            "From: {}\r\nTo: {to}\r\nDate: {date}\r\nMessage-ID: {id}\r\nX-Mailer: {}\r\n",
            self.from, self.program
        );
        for (name, value) in &self.fields {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let mut bytes = head.into_bytes();
        if let Body::Raw(raw) = &self.body {
            bytes.extend_from_slice(raw);
        } else {
            bytes.extend(format!("Subject: {}\r\nMIME-Version: 1.0\r\n{}", self.subject, self.body.written()).bytes());
        }
        bytes
    }
}

impl Body {
    fn written(&self) -> String {
        const PLAIN: &str = "Content-Type: text/plain; charset=utf-8\r\n\r\n";
        match self {
            Self::Plain(text) => format!("{PLAIN}{}\r\n", text.replace('\n', "\r\n")),
            Self::Html(text, rows) => {
                let lines: Vec<&str> = text.lines().collect();
                let of_row = lines.len().div_ceil(*rows).max(1);
                let row = |lines: &[&str]| format!("<tr><td><p>{}</p></td></tr>\r\n", lines.join("<br>\r\n"));
                let rows: String = lines.chunks(of_row).map(row).collect();
                let html = format!("<html><body><table>{rows}</table></body></html>");
                format!(
                    "Content-Type: multipart/alternative; boundary=\"b1\"\r\n\r\n--b1\r\n{PLAIN}{}\r\n\r\n--b1\r\n\
                     Content-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n\r\n--b1--\r\n",
                    text.replace('\n', "\r\n")
                )
            }
            Self::Pdf(text, size) => format!(
                "Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\n--b1\r\n{PLAIN}{}\r\n\r\n--b1\r\n\
                 Content-Type: application/pdf; name=\"invoice.pdf\"\r\nContent-Disposition: attachment; \
                 filename=\"invoice.pdf\"\r\n\r\n%PDF-1.7\r\n{}\r\n--b1--\r\n",
                text.replace('\n', "\r\n"),
                "0 0 0 rg\r\n".repeat(size / 10)
            ),
            Self::Raw(_) => String::new(),
        }
    }
}
