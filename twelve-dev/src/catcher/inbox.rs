//! The newest mails, in memory.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mail_parser::HeaderName;
use tokio::{sync::watch, time::timeout};

use super::content::Content;

/// How many mails are kept.
const MAILS: usize = 500;

/// How many bytes of mails are kept.
const BYTES: usize = 100 << 20;

/// A mail as it arrived.
#[derive(Debug)]
pub(super) struct Mail {
    /// Its place in the page: `/mails/ID`.
    pub(super) id: u64,
    /// When its end arrived, in seconds since 1970.
    pub(super) received: i64,
    /// For whom it was, whatever its headers say.
    pub(super) envelope: Envelope,
    pub(super) message: Vec<u8>,
    /// What a list shows, so that a look at the inbox parses nothing.
    pub(super) summary: Summary,
}

/// What SMTP was told before the message.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) to: Vec<String>,
}

/// A mail in one line.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) subject: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) attachments: usize,
}

impl Summary {
    /// What the headers say; who is not named there is as in the envelope.
    fn of(content: &Content<'_>, envelope: &Envelope) -> Self {
        let [from, to] = [HeaderName::From, HeaderName::To].map(|name| content.addresses(name));
        Self {
            subject: content.subject(),
            from: from.unwrap_or_else(|| envelope.from.clone()),
            to: to.unwrap_or_else(|| envelope.to.join(", ")),
            attachments: content.attachments().len(),
        }
    }
}

/// Everything that was caught, up to a bound.
#[derive(Debug)]
pub(super) struct Inbox(watch::Sender<Mails>);

/// The mails at one moment.
#[derive(Debug)]
struct Mails {
    /// Differs after every change, and from those of catchers before this one: a page may outlive its server.
    version: u64,
    last_id: u64,
    bytes: usize,
    /// Newest first.
    list: VecDeque<Arc<Mail>>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(watch::Sender::new(Mails {
            version: started.unwrap_or_default().as_secs() << 20,
            last_id: 0,
            bytes: 0,
            list: VecDeque::new(),
        }))
    }

    /// Keeps a mail, forgets the oldest as far as the bounds ask for it, and returns its id.
    pub(super) fn add(&self, envelope: Envelope, message: Vec<u8>) -> u64 {
        let summary = Summary::of(&Content::parse(&message), &envelope);
        let received = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut id = 0;
        self.0.send_modify(|mails| {
            mails.version += 1;
            mails.last_id += 1;
            mails.bytes += message.len();
            id = mails.last_id;
            mails.list.push_front(Arc::new(Mail {
                id,
                received: received.unwrap_or_default().as_secs().cast_signed(),
                envelope,
                message,
                summary,
            }));
            while mails.list.len() > MAILS || mails.bytes > BYTES {
                let oldest = mails.list.pop_back();
                mails.bytes -= oldest.map_or(0, |mail| mail.message.len());
            }
        });
        id
    }

    /// Forgets every mail.
    pub(super) fn empty(&self) {
        self.0.send_modify(|mails| {
            mails.version += 1;
            mails.bytes = 0;
            mails.list.clear();
        });
    }

    /// What is in it, newest first, and a version that is another after every change.
    pub(super) fn list(&self) -> (u64, Vec<Arc<Mail>>) {
        let mails = self.0.borrow();
        (mails.version, mails.list.iter().cloned().collect())
    }

    pub(super) fn find(&self, id: u64) -> Option<Arc<Mail>> {
        let mails = self.0.borrow();
        mails.list.iter().find(|mail| mail.id == id).cloned()
    }

    /// Waits until its version is another than `version`, for so long at most.
    pub(super) async fn changed(&self, version: u64, limit: Duration) {
        let mut mails = self.0.subscribe();
        // Both ways to end mean the same to who waits: look again.
        let _ = timeout(limit, mails.wait_for(|mails| mails.version != version)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(inbox: &Inbox) -> Vec<u64> {
        inbox.list().1.iter().map(|mail| mail.id).collect()
    }

    #[test]
    fn the_oldest_mails_are_forgotten_when_there_are_too_many() {
        let inbox = Inbox::new();
        for _ in 0..=MAILS {
            inbox.add(Envelope::default(), Vec::new());
        }
        let ids = ids(&inbox);
        assert_eq!((ids.len(), ids[0], ids[MAILS - 1]), (MAILS, 501, 2));
    }

    #[test]
    fn the_oldest_mails_are_forgotten_when_they_are_too_large() {
        let inbox = Inbox::new();
        for bytes in [1, BYTES / 2, BYTES / 2, 1] {
            inbox.add(Envelope::default(), vec![b'x'; bytes]);
        }
        assert_eq!(ids(&inbox), [4, 3]);
        inbox.empty();
        inbox.add(Envelope::default(), vec![b'x'; BYTES]);
        assert_eq!(ids(&inbox), [5], "what was emptied counts no more");
    }
}
