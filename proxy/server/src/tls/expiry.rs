//! Certificates whose end is near.

use std::collections::HashMap;
use weir_core::tls::{Fingerprint, SecretName, Secrets};

/// How near the end of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Within 14 days.
    Soon,
    /// Within 3 days.
    Near,
    /// It is over.
    Over,
}

impl Stage {
    /// The stage of a certificate that ends at `not_after` (both in seconds since 1970); `None` when there is time.
    pub fn of(not_after: i64, now: i64) -> Option<Self> {
        match not_after.saturating_sub(now) {
            i64::MIN..=0 => Some(Self::Over),
            left if left <= 3 * DAY => Some(Self::Near),
            left if left <= 14 * DAY => Some(Self::Soon),
            _ => None,
        }
    }
}

/// A certificate that somebody should be told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where it was read from.
    pub secret: SecretName,
    /// How near its end is.
    pub stage: Stage,
    /// Whole days that are left; negative when it is over.
    pub days: i64,
}

/// Remembers what was told, so that each stage of each certificate is told once.
#[derive(Debug, Default)]
pub struct Watch {
    told: HashMap<SecretName, (Fingerprint, Stage)>,
}

impl Watch {
    /// What is to be told at `now`, in seconds since 1970.
    pub fn look(&mut self, secrets: &Secrets, now: i64) -> Vec<Notice> {
        let mut due = HashMap::new();
        let mut notices = Vec::new();
        for (secret, pair) in secrets.pairs() {
            let Some(stage) = Stage::of(pair.not_after, now) else { continue };
            let now_due = (pair.fingerprint, stage);
            if self.told.get(secret) != Some(&now_due) {
                let days = pair.not_after.saturating_sub(now).div_euclid(DAY);
                notices.push(Notice { secret: secret.clone(), stage, days });
            }
            due.insert(secret.clone(), now_due);
        }
        // Only what there is now: Secrets come and go.
        self.told = due;
        notices
    }
}

const DAY: i64 = 24 * 60 * 60;

#[cfg(test)]
mod tests;
