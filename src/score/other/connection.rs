//! A byte stream to a scorer, over TCP or a Unix socket.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::AskError;
use super::settings::Endpoint;

/// The longest answer that is read, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Both directions.
pub(super) trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

pub(super) async fn open(endpoint: &Endpoint) -> io::Result<Box<dyn Both>> {
    Ok(match endpoint {
        Endpoint::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Endpoint::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

/// All that comes until the other side closes, bounded.
pub(super) async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, AskError> {
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX as u64 + 1).read_to_end(&mut answer).await?;
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(AskError::Answer(format!("longer than {ANSWER_BYTES_MAX} bytes")));
    }
    Ok(answer)
}
