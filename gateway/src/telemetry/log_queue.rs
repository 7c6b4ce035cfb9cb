//! The queue between the threads that log and standard output: a full disk, a broken pipe, or a reader that has stopped reading
//! costs lines and never a request.
//!
//! One thread writes. A thread that logs appends its line to one buffer, or, when the buffer is full, drops it; the writing
//! thread swaps that buffer for its own empty one. So no memory is taken or given back for a line. Lines that could not be
//! queued or written are counted, and reported once when writing works again.
//!
//! Waking that thread costs about as much as a call, so it is not woken for every line: after a write it pauses for
//! [`PAUSE`], and lines gather meanwhile. The first line after a quiet time is written at once; no line waits longer than
//! [`PAUSE`]. A line that is to be written through ([`LogWriter::line_through`]) ends the pause.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus::IntCounter;

use super::log_interval::LogInterval;

/// Bytes of the lines that wait for the writer, those that it is writing included.
const WAITING_BYTES: u64 = 4 << 20;

/// Bytes that a buffer keeps when it is empty.
const KEPT_BYTES: usize = 64 << 10;

/// Least time between two writes, unless more lines wait than half of the queue holds: at most 100 wake-ups a second.
const PAUSE: Duration = Duration::from_millis(10);

/// How long to wait before trying again where another process made standard output non-blocking.
const RETRY: Duration = Duration::from_millis(10);

/// Least time between two words about dropped lines.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// How long the last lines may take at the end of the process.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where to leave lines; cheap to clone. The writing thread ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    queue: Arc<QueueEnd>,
    dropped: IntCounter,
}

/// The end of the queue where lines are left.
#[derive(Debug)]
struct QueueEnd(Arc<Queue>);

impl Drop for QueueEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Lines between the threads that log and the one that writes.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Notified when the writing thread has something to do.
    wanted: Condvar,
    /// Notified when the writing thread is done with what it took.
    written: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Whole lines with their ends, which the writing thread has not yet taken.
    lines: Vec<u8>,
    /// All bytes that were ever appended.
    appended: u64,
    /// All bytes that were ever written or given up.
    done: u64,
    /// What the writing thread does.
    writer: WriterState,
    /// The writing thread is not to pause before the next write.
    is_urgent: bool,
    /// Threads that wait until lines are written.
    waiters: usize,
    /// No more lines will come.
    is_closed: bool,
}

/// What the writing thread does. Waking one that does not wait would cost a system call for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WriterState {
    /// It writes, or is about to look for lines.
    #[default]
    Busy,
    /// It waits for more lines to gather.
    Pausing,
    /// It waits for a line.
    Idle,
}

impl Waiting {
    /// Bytes of the lines that wait, those that are being written included.
    const fn bytes(&self) -> u64 {
        self.appended - self.done
    }

    /// Notes what the writing thread does: it waits in this state, or is busy. Whether it waits.
    const fn set_waiting(&mut self, is_so: bool, state: WriterState) -> bool {
        self.writer = match is_so {
            true => state,
            false => WriterState::Busy,
        };
        is_so
    }

    /// Appends a line, unless there is no room.
    fn append(&mut self, line: &[u8]) -> bool {
        let has_room = self.bytes() + line.len() as u64 <= WAITING_BYTES;
        if has_room {
            self.lines.extend_from_slice(line);
            self.appended += line.len() as u64;
        }
        has_room
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line, unless there is no room, and wakes the writing thread where that is needed.
    fn append(&self, line: &[u8], is_urgent: bool) -> bool {
        let mut waiting = self.lock();
        let has_room = waiting.append(line);
        waiting.is_urgent |= is_urgent || waiting.bytes() > WAITING_BYTES / 2;
        self.wake(waiting);
        has_room
    }

    /// Wakes the writing thread if it waits and has something to do.
    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let has_work = match waiting.writer {
            WriterState::Busy => false,
            WriterState::Pausing => waiting.is_urgent || waiting.is_closed,
            WriterState::Idle => !waiting.lines.is_empty() || waiting.is_closed,
        };
        if has_work {
            waiting.writer = WriterState::Busy;
            drop(waiting);
            self.wanted.notify_one();
        }
    }

    /// Waits for lines and swaps them with an empty buffer. Nothing is taken at the end.
    fn take(&self, empty: &mut Vec<u8>) {
        let has_none = |waiting: &mut Waiting| {
            let has_none = waiting.lines.is_empty() && !waiting.is_closed;
            waiting.set_waiting(has_none, WriterState::Idle)
        };
        let waited = self.wanted.wait_while(self.lock(), has_none);
        let mut waiting = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.is_urgent = false;
        mem::swap(&mut waiting.lines, empty);
    }

    /// Says that so many bytes are written or given up.
    fn set_done(&self, bytes: usize) {
        let mut waiting = self.lock();
        waiting.done += bytes as u64;
        let is_awaited = waiting.waiters > 0;
        drop(waiting);
        if is_awaited {
            self.written.notify_all();
        }
    }

    /// Lets lines gather for [`PAUSE`], unless one of them is urgent.
    fn pause(&self) {
        let is_patient = |waiting: &mut Waiting| {
            let is_patient = !waiting.is_urgent && !waiting.is_closed;
            waiting.set_waiting(is_patient, WriterState::Pausing)
        };
        let paused = self
            .wanted
            .wait_timeout_while(self.lock(), PAUSE, is_patient);
        let (mut waiting, _) = paused.unwrap_or_else(PoisonError::into_inner);
        waiting.writer = WriterState::Busy;
    }

    /// Waits until the lines that wait are written, or [`LAST_LINES`] have gone.
    fn finish(&self) {
        let mut waiting = self.lock();
        let end = waiting.appended;
        waiting.is_urgent = true;
        waiting.waiters += 1;
        self.wake(waiting);
        let is_before = |waiting: &mut Waiting| waiting.done < end;
        let waited = self
            .written
            .wait_timeout_while(self.lock(), LAST_LINES, is_before);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.waiters -= 1;
    }

    fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        self.wake(waiting);
    }
}

impl LogWriter {
    /// Starts the thread that writes to `output` and counts into `dropped`. Once lines were lost and the next one was
    /// written, `recovered` hears how many.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        dropped: IntCounter,
        recovered: fn(u64),
    ) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let mut drain = QueueDrain {
            output,
            dropped: dropped.clone(),
            reported: 0,
            interval: LogInterval::every(REPORT_EVERY),
            is_torn: false,
            recovered,
        };
        let taken_from = queue.clone();
        thread::Builder::new()
            .name("log".into())
            .spawn(move || drain.run(&taken_from))?;
        Ok(Self {
            queue: Arc::new(QueueEnd(queue)),
            dropped,
        })
    }

    /// Leaves one line, its end included; drops it when the queue is full.
    pub(crate) fn line(&self, line: &[u8]) {
        self.append(line, false);
    }

    /// Leaves one line as [`LogWriter::line`] does, and has it written without a pause.
    pub(crate) fn line_through(&self, line: &[u8]) {
        self.append(line, true);
    }

    fn append(&self, line: &[u8], is_urgent: bool) {
        if !self.queue.0.append(line, is_urgent) {
            self.dropped.inc();
        }
    }

    /// Waits until what was left so far is written, or [`LAST_LINES`] have gone.
    pub(crate) fn finish(&self) {
        self.queue.0.finish();
    }
}

/// For events of the operational log: they are rare, and the last ones before a crash matter, so they are written without a pause.
impl Write for LogWriter {
    /// Takes all of `line`, which is a whole one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line_through(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the last lines: dropped at the end, it writes out what waits.
#[derive(Debug)]
pub(crate) struct LastLines(LogWriter);

impl LastLines {
    pub(super) const fn of(writer: LogWriter) -> Self {
        Self(writer)
    }
}

impl Drop for LastLines {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The end of the queue where lines are taken, on its own thread.
struct QueueDrain<W> {
    output: W,
    dropped: IntCounter,
    /// Dropped lines that were reported already.
    reported: u64,
    interval: LogInterval,
    /// The last line that was begun has no end.
    is_torn: bool,
    recovered: fn(u64),
}

impl<W: Write> QueueDrain<W> {
    fn run(&mut self, queue: &Queue) {
        let mut lines = Vec::new();
        loop {
            queue.take(&mut lines);
            if lines.is_empty() {
                return;
            }
            self.write(&lines);
            queue.set_done(lines.len());
            lines.clear();
            lines.shrink_to(KEPT_BYTES);
            queue.pause();
        }
    }

    /// Writes lines, or counts those that have to be given up.
    fn write(&mut self, lines: &[u8]) {
        if self.is_torn && self.whole(b"\n").is_ok() {
            self.is_torn = false;
        }
        match self.whole(lines) {
            Ok(()) => self.tell(),
            Err(written) => {
                let (out, lost) = lines.split_at(written);
                self.is_torn |= out.last().is_some_and(|last| *last != b'\n');
                self.dropped.inc_by(ends(lost));
            }
        }
    }

    /// Everything, or how many bytes were written before it failed.
    fn whole(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.output.write(rest) {
                Ok(0) => return Err(bytes.len() - rest.len()),
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
                Err(_) => return Err(bytes.len() - rest.len()),
            }
        }
        Ok(())
    }

    fn tell(&mut self) {
        let dropped = self.dropped.get();
        if dropped > self.reported && self.interval.is_due() {
            (self.recovered)(dropped - self.reported);
            self.reported = dropped;
        }
    }
}

fn ends(lines: &[u8]) -> u64 {
    lines.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, Sender, channel},
        time::Instant,
    };

    use super::*;

    /// An output that fails, blocks or takes a few bytes only, as the test sets.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<QueueState>>);

    #[derive(Default)]
    struct QueueState {
        written: Vec<u8>,
        writes: usize,
        room: Option<usize>,
    }

    impl Output {
        fn set_room(&self, room: Option<usize>) {
            self.0.lock().unwrap().room = room;
        }

        fn writes(&self) -> usize {
            self.0.lock().unwrap().writes
        }

        /// Waits until so many bytes were written; how long that took.
        fn wait_for(&self, bytes: usize) -> Duration {
            let began = Instant::now();
            while self.0.lock().unwrap().written.len() < bytes {
                assert!(began.elapsed() < Duration::from_secs(10));
                thread::sleep(Duration::from_millis(1));
            }
            began.elapsed()
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap()
        }
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.0.lock().unwrap();
            let count = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if let Some(room) = &mut state.room {
                *room -= count;
            }
            state.written.extend_from_slice(&bytes[..count]);
            state.writes += 1;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "Dropped.").unwrap()
    }

    #[test]
    fn a_full_disk_costs_lines_that_are_counted_and_reported_once() {
        static TOLD: Mutex<Vec<u64>> = Mutex::new(Vec::new());
        let (output, dropped) = (Output::default(), counter());
        let writer = LogWriter::start(output.clone(), dropped.clone(), |lost| {
            TOLD.lock().unwrap().push(lost);
        })
        .unwrap();
        let say = |line: &str| {
            writer.line(line.as_bytes());
            writer.finish();
        };
        say("one\n");
        output.set_room(Some(2));
        say("two\n");
        say("three\n");
        assert_eq!(dropped.get(), 2);
        output.set_room(None);
        say("four\n");
        say("five\n");
        // What was begun stands on a line of its own.
        assert_eq!(output.text(), "one\ntw\nfour\nfive\n");
        assert_eq!(
            (dropped.get(), TOLD.lock().unwrap().as_slice()),
            (2, [2].as_slice())
        );
    }

    #[test]
    fn many_lines_are_few_writes_and_keep_their_order() {
        let (output, dropped) = (Output::default(), counter());
        let writer = LogWriter::start(output.clone(), dropped.clone(), |_| {}).unwrap();
        let began = Instant::now();
        let mut expected = String::new();
        while began.elapsed() < Duration::from_secs(1) {
            let line = format!("{:?}\n", began.elapsed());
            expected.push_str(&line);
            writer.line(line.as_bytes());
            thread::sleep(Duration::from_micros(200));
        }
        writer.finish();
        assert_eq!(output.text(), expected);
        assert_eq!(dropped.get(), 0);
        // One for each pause, the first and the last one, and a few where the clock is coarse.
        let allowed = 5 + began.elapsed().as_millis() / PAUSE.as_millis();
        assert!(output.writes() as u128 <= allowed, "{}", output.writes());
    }

    #[test]
    fn a_line_waits_for_a_pause_at_most_and_one_written_through_for_none() {
        /// Far more than a pause, for a machine that is busy.
        const SOON: Duration = Duration::from_secs(1);
        let output = Output::default();
        let writer = LogWriter::start(output.clone(), counter(), |_| {}).unwrap();
        for size in 1..10 {
            writer.line(b"\n");
            assert!(output.wait_for(size) < SOON);
        }
        // Each of these ends a pause: a thousand take less time than a thousand pauses.
        let began = Instant::now();
        for size in 10..1010 {
            writer.line_through(b"\n");
            while output.text().len() < size {
                assert!(began.elapsed() < 1000 * PAUSE / 2);
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_reader_that_stops_costs_no_time_and_bounded_memory() {
        struct Blocked(Receiver<()>);
        impl Write for Blocked {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                // Until the other end is gone.
                let _ = self.0.recv();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, blocked) = channel();
        let dropped = counter();
        let writer = LogWriter::start(Blocked(blocked), dropped.clone(), |_| {}).unwrap();
        let line = vec![b'x'; 1000];
        let room = usize::try_from(WAITING_BYTES).unwrap() / line.len();
        for _ in 0..2 * room {
            writer.line(&line);
        }
        assert!(writer.queue.0.lock().bytes() <= WAITING_BYTES);
        assert!(dropped.get() >= room as u64);
        // The end of the process does not wait for the reader either.
        let began = Instant::now();
        writer.finish();
        assert!(began.elapsed() < 10 * LAST_LINES);
        drop(release);
    }

    #[test]
    fn the_writing_thread_ends_with_the_last_writer() {
        struct Ends(Sender<()>);
        impl Write for Ends {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Drop for Ends {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (ended, end) = channel();
        let writer = LogWriter::start(Ends(ended), counter(), |_| {}).unwrap();
        writer.clone().line(b"\n");
        drop(writer);
        end.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
