//! Entries to bytes.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::{Entry, Head, MAX_RECIPIENTS, MAX_VALUE, Name, VERSION, hex};

/// An entry cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// Such a value could not be told from the next line.
    #[error("a value of the envelope has a line break, or more than {MAX_VALUE} bytes")]
    Value,
    /// Nobody it could be delivered to, or more than a reader takes.
    #[error("an entry has between one and {MAX_RECIPIENTS} recipients")]
    Recipients,
    /// The output failed.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// How many bytes [`encode`] will write.
///
/// # Errors
/// An envelope cannot be written down.
pub fn length(name: &Name, entries: &[Entry]) -> Result<u64, EncodeError> {
    let mut count = Counter(0);
    writeln!(count, "{}", title(name))?;
    for entry in entries {
        let size = size(entry);
        write_head(&mut count, &entry.head)?;
        count.write_all(message_line(size, &[0; 32]).as_bytes())?;
        count.0 += size + 1;
    }
    count.write_all(end_line(entries.len(), &[0; 32]).as_bytes())?;
    Ok(count.0)
}

/// Writes a segment. Each piece of a message is dropped as soon as it is written.
///
/// # Errors
/// An envelope cannot be written down, or the output fails.
pub fn encode(name: &Name, entries: Vec<Entry>, output: impl Write) -> Result<(), EncodeError> {
    let count = entries.len();
    let mut output = Summing { output, sum: Sha256::new() };
    writeln!(output, "{}", title(name))?;
    for entry in entries {
        write_head(&mut output, &entry.head)?;
        let mut sum = Sha256::new();
        entry.message.iter().for_each(|piece| sum.update(piece));
        output.write_all(message_line(size(&entry), &sum.finalize().into()).as_bytes())?;
        for piece in entry.message {
            output.write_all(&piece)?;
        }
        output.write_all(b"\n")?;
    }
    let end = end_line(count, &output.sum.clone().finalize().into());
    output.write_all(end.as_bytes())?;
    Ok(output.flush()?)
}

fn size(entry: &Entry) -> u64 {
    entry.message.iter().map(|piece| piece.len() as u64).sum()
}

fn title(name: &Name) -> String {
    format!("mail-journal {VERSION} {} {}", name.gateway(), name.number())
}

fn message_line(size: u64, sum: &[u8; 32]) -> String {
    format!("message {size} {}\n", hex(sum))
}

fn end_line(count: usize, sum: &[u8; 32]) -> String {
    format!("end {count} {}\n", hex(sum))
}

fn write_head(output: &mut impl Write, head: &Head) -> Result<(), EncodeError> {
    if head.recipients.is_empty() || head.recipients.len() > MAX_RECIPIENTS {
        return Err(EncodeError::Recipients);
    }
    write!(output, "entry {}\nreceived {}\n", head.id, head.received)?;
    let login = head.login.iter().map(|login| ("login", login));
    let sender = std::iter::once(("sender", &head.sender));
    let recipients = head.recipients.iter().map(|recipient| ("recipient", recipient));
    for (key, value) in login.chain(sender).chain(recipients) {
        if value.len() > MAX_VALUE || value.iter().any(|b| matches!(b, b'\n' | b'\r')) {
            return Err(EncodeError::Value);
        }
        write!(output, "{key} ")?;
        output.write_all(value)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Summing<W> {
    output: W,
    sum: Sha256,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.sum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
