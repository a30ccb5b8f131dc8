//! What a store's volume says of its role. Each change is written and fsynced *before* anything that relies on it is
//! done or said; a restart reads it back and starts as a replica.

use super::epoch::Epoch;

/// What stands on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    /// It holds the shard's mail. An empty volume, or one whose role file is lost, does not.
    pub seeded: bool,
    /// The highest epoch that this store served or has followed to its end.
    pub epoch: Epoch,
    /// It served that epoch itself.
    pub primary: bool,
    /// As primary of that epoch: it goes on, or may go on, without a replica that is in sync.
    pub alone: bool,
    /// The highest epoch promised: beats of a lower one are refused.
    pub promise: Epoch,
    /// The highest epoch of the other store that was voted for. Apart from `promise`, for a later promise of one's own
    /// must not hide that the other may have served.
    pub vote: Epoch,
}

impl Disk {
    /// An empty volume.
    pub const EMPTY: Self = Self {
        seeded: false,
        epoch: Epoch::NONE,
        primary: false,
        alone: false,
        promise: Epoch::NONE,
        vote: Epoch::NONE,
    };

    /// The highest epoch this disk knows of.
    #[must_use]
    pub fn seen(&self) -> Epoch {
        self.epoch.max(self.promise).max(self.vote)
    }

    /// Nothing above `epoch` was followed, served or voted for: what is known of `epoch` is not outdated.
    #[must_use]
    pub fn nothing_after(&self, epoch: Epoch) -> bool {
        self.epoch.max(self.vote) <= epoch
    }

    /// An attempt at `epoch` may go on: nothing was promised since, neither for an attempt of one's own nor by a vote.
    #[must_use]
    pub fn still_attempts(&self, epoch: Epoch) -> bool {
        self.promise == epoch && self.epoch < epoch
    }

    /// Before the second vote is asked for, and when a higher number was seen while serving.
    #[must_use]
    pub fn promised(self, epoch: Epoch) -> Self {
        Self { promise: self.promise.max(epoch), ..self }
    }

    /// Before the vote is given away.
    #[must_use]
    pub fn voted(self, epoch: Epoch) -> Self {
        Self { vote: self.vote.max(epoch), ..self.promised(epoch) }
    }

    /// After the second vote, before Cyrus starts as primary. Nobody was told to be in sync in this epoch yet.
    #[must_use]
    pub fn taken(self, epoch: Epoch) -> Self {
        Self { epoch, primary: true, alone: true, ..self.promised(epoch) }
    }

    /// The first epoch of a shard: nobody ever served it, so that an empty volume holds all of its mail.
    #[must_use]
    pub fn founded(self, epoch: Epoch) -> Self {
        Self { seeded: true, ..self.taken(epoch) }
    }

    /// Before mail is taken away from it that only the other disk has whole: it does not hold the shard's mail any more.
    #[must_use]
    pub fn emptied(self) -> Self {
        Self { seeded: false, ..self }
    }

    /// After everything of the primary of `epoch` has arrived, and everything that only this disk had is there.
    #[must_use]
    pub fn followed(self, epoch: Epoch) -> Self {
        Self { seeded: true, epoch, primary: false, alone: false, ..self.promised(epoch) }
    }
}
