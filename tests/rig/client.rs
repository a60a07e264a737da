//! A client that says exactly what it is told, and hears replies as they are.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::tls::{Certificate, Stream};

/// A reply with its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) code: u16,
    /// Without code and separator.
    pub(crate) lines: Vec<String>,
}

impl Heard {
    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }

    pub(crate) fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().any(|line| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(keyword)))
    }
}

/// One connection to the relay under test.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Option<Stream>,
    unread: Vec<u8>,
}

impl Client {
    /// Connects and hears the greeting.
    pub(crate) fn connect(to: SocketAddr) -> io::Result<(Self, Heard)> {
        Self::connect_from(to, None)
    }

    /// The same, from a source address.
    pub(crate) fn connect_from(to: SocketAddr, from: Option<IpAddr>) -> io::Result<(Self, Heard)> {
        let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None)?;
        if let Some(from) = from {
            socket.bind(&SocketAddr::from((from, 0)).into())?;
        }
        socket.connect(&to.into())?;
        let stream = Stream::Plain(socket.into());
        stream.set_patience(PATIENCE);
        let mut this = Self { stream: Some(stream), unread: Vec::new() };
        let greeting = this.hear()?;
        Ok((this, greeting))
    }

    /// Connects, waits for a friendly greeting and says EHLO. For a relay that is just starting, it tries again.
    pub(crate) fn greeted(to: SocketAddr) -> Self {
        let start = Instant::now();
        loop {
            match Self::connect(to) {
                Ok((mut client, greeting)) if greeting.code == 220 => {
                    let heard = client.say("EHLO client.example").expect("an answer to EHLO");
                    assert_eq!(heard.code, 250, "{heard:?}");
                    return client;
                }
                other if start.elapsed() > PATIENCE => panic!("no greeting from {to}: {other:?}"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// One command, one reply.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<Heard> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.hear()
    }

    /// One command that must be answered with `code`.
    pub(crate) fn expect(&mut self, line: &str, code: u16) -> Heard {
        let heard = self.say(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(heard.code, code, "{line}: {heard:?}");
        heard
    }

    /// Bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream();
        stream.write_all(bytes)?;
        stream.flush()
    }

    pub(crate) fn hear(&mut self) -> io::Result<Heard> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("not a reply: {line:?}"));
            let code: u16 = line.get(..3).and_then(|digits| digits.parse().ok()).ok_or_else(broken)?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Heard { code, lines });
            }
        }
    }

    /// A whole transaction; the reply that decided it. `content` is stuffed here and must end with CRLF (or be empty).
    pub(crate) fn deliver(&mut self, from: &str, to: &[&str], content: &[u8]) -> io::Result<Heard> {
        let heard = self.say(&format!("MAIL FROM:<{from}>"))?;
        if heard.code != 250 {
            return Ok(heard);
        }
        for recipient in to {
            let heard = self.say(&format!("RCPT TO:<{recipient}>"))?;
            if heard.code != 250 {
                let _ = self.say("RSET")?;
                return Ok(heard);
            }
        }
        let heard = self.say("DATA")?;
        if heard.code != 354 {
            return Ok(heard);
        }
        self.send(&stuffed(content))?;
        self.hear()
    }

    /// STARTTLS without sending EHLO again.
    pub(crate) fn start_tls(&mut self, trusted: &Certificate, name: &str) -> io::Result<()> {
        let plain = self.stream.take().expect("a connection");
        assert!(self.unread.is_empty(), "bytes before the handshake: {:?}", self.unread);
        self.stream = Some(plain.open_tls(trusted.client(), name)?);
        Ok(())
    }

    /// Whether the relay has closed its side: nothing more can be read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && matches!(self.fill(), Err(e) if e.kind() != io::ErrorKind::WouldBlock)
    }

    /// Goes without a word.
    pub(crate) fn cut(&mut self) {
        self.stream().cut();
    }

    fn stream(&mut self) -> &mut Stream {
        self.stream.as_mut().expect("a connection")
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match self.stream().read(&mut buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }
}

/// Content as it goes over the wire, with dots stuffed and the final dot. A last line without CRLF gets one.
pub(crate) fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(content.len() + 8);
    let mut line_start = true;
    for (i, &byte) in content.iter().enumerate() {
        if line_start && byte == b'.' {
            wire.push(b'.');
        }
        wire.push(byte);
        line_start = byte == b'\n' && i > 0 && content[i - 1] == b'\r';
    }
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}
