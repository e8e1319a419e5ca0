//! What is sent on streams.

use crate::connection::OUTPUT_MOST;
use crate::error::Gone;
use crate::frame;
use crate::state::State;
use crate::table::{Incoming, Outgoing, Owner};
use std::task::{Context, Poll};

impl State {
    pub(crate) fn send_head<'f>(
        &mut self,
        id: u32,
        status: u16,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
        end: bool,
    ) -> Result<(), Gone> {
        let entry = self.table.get(id).ok_or(Gone::Over)?;
        entry.gone.map_or(Ok(()), Err)?;
        if entry.outgoing != Outgoing::Due {
            return Err(Gone::Over);
        }
        if !matches!(status, 100..=199) {
            entry.outgoing = if end { Outgoing::Ended } else { Outgoing::Begun };
        }
        self.write_block(id, end, Some(status), fields);
        self.meter.sent_head();
        Ok(())
    }

    pub(crate) fn send_trailers<'f>(
        &mut self,
        id: u32,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<(), Gone> {
        let entry = self.table.get(id).ok_or(Gone::Over)?;
        entry.gone.map_or(Ok(()), Err)?;
        if entry.outgoing != Outgoing::Begun {
            return Err(Gone::Over);
        }
        entry.outgoing = Outgoing::Ended;
        self.write_block(id, true, None, fields);
        Ok(())
    }

    /// Sends as much of `data` as there is room for.
    pub(crate) fn poll_send(
        &mut self,
        id: u32,
        data: &[u8],
        end: bool,
        cx: &Context<'_>,
    ) -> Poll<Result<usize, Gone>> {
        let room = self.room(id);
        let Some(entry) = self.table.get(id) else { return Poll::Ready(Err(Gone::Over)) };
        if let Some(gone) = entry.gone {
            return Poll::Ready(Err(gone));
        }
        if entry.outgoing != Outgoing::Begun {
            return Poll::Ready(Err(Gone::Over));
        }
        if room == 0 && !data.is_empty() {
            entry.watch(cx);
            self.wait(id);
            return Poll::Pending;
        }
        let (now, rest) = data.split_at(data.len().min(room));
        self.write_data(id, now, end && rest.is_empty());
        Poll::Ready(Ok(now.len()))
    }

    /// Takes over all of `data`, which ends the response.
    pub(crate) fn send_last(&mut self, id: u32, data: Vec<u8>) -> Result<(), Gone> {
        let entry = self.table.get(id).ok_or(Gone::Over)?;
        entry.gone.map_or(Ok(()), Err)?;
        if entry.outgoing != Outgoing::Begun || !entry.last.is_empty() {
            return Err(Gone::Over);
        }
        if data.is_empty() {
            self.write_data(id, &[], true);
            return Ok(());
        }
        entry.last = data;
        self.pump(id);
        Ok(())
    }

    /// Lets the peer send `bytes` more of a body.
    pub(crate) fn release_body(&mut self, id: u32, bytes: usize) {
        let Some(entry) = self.table.get(id) else { return };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(entry.held);
        entry.held -= bytes;
        self.release(bytes);
        self.release_on(id, bytes);
    }

    /// The part of the stream itself in that.
    pub(crate) fn release_on(&mut self, id: u32, bytes: u32) {
        let half = self.options.stream_window / 2;
        let Some(entry) = self.table.get(id) else { return };
        entry.released = entry.released.saturating_add(bytes);
        if entry.gone.is_none() && entry.incoming == Incoming::Open && entry.released >= half {
            let more = std::mem::take(&mut entry.released);
            entry.window_in = entry.window_in.saturating_add(more.into());
            frame::whole(self.output.end(), frame::WINDOW_UPDATE, 0, id, &more.to_be_bytes());
            self.wake_task();
        }
    }

    /// Some of what waited was written.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.output.wrote(count);
        // Half of it, so that not every write wakes everybody for a few bytes.
        if !self.waiting.is_empty() && self.output.rest().len() * 2 <= OUTPUT_MOST {
            self.wake_waiting();
        }
    }

    /// All that wait look again whether there is room, those first that have waited longest.
    pub(crate) fn wake_waiting(&mut self) {
        for id in std::mem::take(&mut self.waiting) {
            if let Some(entry) = self.table.get(id) {
                entry.waiting = false;
            }
            self.wake_one(id);
        }
    }

    /// A stream looks again; where it waits, it keeps its place.
    pub(crate) fn wake_one(&mut self, id: u32) {
        let Some(entry) = self.table.get(id) else { return };
        match entry.last.is_empty() {
            true => entry.wake(),
            false => self.pump(id),
        }
    }

    /// Sends what nobody waits for, as there is room.
    fn pump(&mut self, id: u32) {
        loop {
            let room = self.room(id);
            let Some(entry) = self.table.get(id).filter(|entry| entry.gone.is_none()) else { break };
            if room == 0 {
                return self.wait(id);
            }
            let mut now = std::mem::take(&mut entry.last);
            let rest = now.split_off(now.len().min(room));
            let ends = rest.is_empty();
            entry.last = rest;
            self.write_data(id, &now, ends);
            if ends {
                break;
            }
        }
        if self.table.peek(id).is_some_and(|entry| entry.owner == Owner::Nobody) {
            self.abandon(id);
        }
    }

    fn wait(&mut self, id: u32) {
        if let Some(entry) = self.table.get(id)
            && !entry.waiting
        {
            entry.waiting = true;
            self.waiting.push_back(id);
        }
    }

    /// Bytes of data that a stream can send now.
    fn room(&self, id: u32) -> usize {
        let window = self.table.peek(id).map_or(0, |entry| entry.window_out).min(self.window_out);
        let output = OUTPUT_MOST.saturating_sub(self.output.rest().len());
        usize::try_from(window).unwrap_or(0).min(output)
    }

    /// Writes data for which there is room.
    fn write_data(&mut self, id: u32, data: &[u8], end: bool) {
        let Some(entry) = self.table.get(id) else { return };
        let length = i64::try_from(data.len()).unwrap_or(i64::MAX);
        entry.window_out = entry.window_out.saturating_sub(length);
        self.window_out = self.window_out.saturating_sub(length);
        if end {
            entry.outgoing = Outgoing::Ended;
        }
        let most = frame::FRAME_MOST as usize;
        let mut rest = data;
        while rest.len() > most {
            let (now, later) = rest.split_at(most);
            frame::whole(self.output.end(), frame::DATA, 0, id, now);
            self.meter.sent_data(now.len());
            rest = later;
        }
        if !rest.is_empty() || end {
            let flags = if end { frame::END_STREAM } else { 0 };
            frame::whole(self.output.end(), frame::DATA, flags, id, rest);
            self.meter.sent_data(rest.len());
        }
        self.wake_task();
    }

    fn write_block<'f>(
        &mut self,
        id: u32,
        end: bool,
        status: Option<u16>,
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) {
        let out = self.output.end();
        let start = out.len();
        frame::header(out, frame::HEADERS, 0, id, 0);
        let from = out.len();
        self.encoder.begin(out);
        status.into_iter().for_each(|status| self.encoder.status(out, status));
        fields.into_iter().for_each(|(name, value)| self.encoder.field(out, name, value));
        let length = out.len().saturating_sub(from);
        if length <= frame::FRAME_MOST as usize {
            let flags = frame::END_HEADERS | if end { frame::END_STREAM } else { 0 };
            let header = frame::header_bytes(frame::HEADERS, flags, id, length);
            out.get_mut(start..from).into_iter().for_each(|place| place.copy_from_slice(&header));
        } else {
            let block = out.split_off(from);
            out.truncate(start);
            frame::head(out, id, end, &block, frame::FRAME_MOST as usize);
        }
        self.wake_task();
    }
}
