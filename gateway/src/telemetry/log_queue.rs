//! The queue between the threads that log and standard output: a full disk, a broken pipe, or a reader that has stopped reading
//! costs lines and never a request.
//!
//! One thread writes. A thread that logs leaves a line in the queue, or, when the queue is full, drops it. Lines that could not
//! be queued or written are counted, and reported once when writing works again.
//!
//! Waking that thread costs about as much as a call, so it is not woken for every line: after a write it pauses for
//! [`PAUSE`], and lines gather meanwhile. The first line after a quiet time is written at once; no line waits longer than
//! [`PAUSE`]. A line that is to be written through ([`LogWriter::line_through`]) ends the pause.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, Thread},
    time::Duration,
};

use prometheus::IntCounter;

use super::log_interval::LogInterval;

/// Lines waiting for the writer.
const WAITING_LINES: usize = 16_384;

/// Bytes of the lines that wait for the writer.
const WAITING_BYTES: usize = 4 << 20;

/// Bytes that are written in one go, as far as lines are there.
const BATCH: usize = 16 << 10;

/// Least time between two writes, unless more lines wait than one holds: at most 100 wake-ups a second.
const PAUSE: Duration = Duration::from_millis(10);

/// How long to wait before trying again where another process made standard output non-blocking.
const RETRY: Duration = Duration::from_millis(10);

/// Least time between two words about dropped lines.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// How long the last lines may take at the end of the process.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where to leave lines; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    queue: Sender<QueueMessage>,
    waiting: Arc<Waiting>,
    dropped: IntCounter,
    thread: Thread,
}

/// What waits for the writer. A channel with a bound would hold room for all lines from the start.
#[derive(Debug, Default)]
struct Waiting {
    lines: AtomicUsize,
    bytes: AtomicUsize,
}

#[derive(Debug)]
enum QueueMessage {
    /// One line with its end.
    Line(Vec<u8>),
    /// Says when everything before it is written.
    End(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to `output` and counts into `dropped`. Once lines were lost and the next one was
    /// written, `recovered` hears how many.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        dropped: IntCounter,
        recovered: fn(u64),
    ) -> io::Result<Self> {
        let (queue, lines) = channel();
        let waiting = Arc::<Waiting>::default();
        let mut drain = QueueDrain {
            output,
            waiting: waiting.clone(),
            dropped: dropped.clone(),
            reported: 0,
            interval: LogInterval::every(REPORT_EVERY),
            is_torn: false,
            recovered,
        };
        let writing = thread::Builder::new()
            .name("log".into())
            .spawn(move || drain.run(&lines))?;
        Ok(Self {
            queue,
            waiting,
            dropped,
            thread: writing.thread().clone(),
        })
    }

    /// Leaves one line, its end included; drops it when the queue is full.
    pub(crate) fn line(&self, line: Vec<u8>) {
        let size = line.len();
        let bytes = self.waiting.bytes.fetch_add(size, Ordering::Relaxed) + size;
        let lines = self.waiting.lines.fetch_add(1, Ordering::Relaxed) + 1;
        let has_room = bytes <= WAITING_BYTES && lines <= WAITING_LINES;
        if !has_room || self.queue.send(QueueMessage::Line(line)).is_err() {
            self.waiting.remove(1, size);
            self.dropped.inc();
        }
        if bytes > WAITING_BYTES / 2 || lines > WAITING_LINES / 2 {
            self.end_pause();
        }
    }

    /// Leaves one line as [`LogWriter::line`] does, and has it written without a pause.
    pub(crate) fn line_through(&self, line: Vec<u8>) {
        self.line(line);
        self.end_pause();
    }

    /// Ends the pause of the writing thread, or the next one.
    fn end_pause(&self) {
        self.thread.unpark();
    }

    /// Waits until what was left so far is written, or [`LAST_LINES`] have gone.
    pub(crate) fn finish(&self) {
        let (written, done) = sync_channel(1);
        let _ = self.queue.send(QueueMessage::End(written));
        self.end_pause();
        let _ = done.recv_timeout(LAST_LINES);
    }
}

impl Waiting {
    fn remove(&self, lines: usize, bytes: usize) {
        self.lines.fetch_sub(lines, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Write for LogWriter {
    /// Takes all of `line`, which is a whole one.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line.to_vec());
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

/// Lines that are written in one go.
#[derive(Default)]
struct Batch {
    lines: usize,
    bytes: Vec<u8>,
}

impl Batch {
    fn add(&mut self, line: &[u8]) {
        self.lines += 1;
        self.bytes.extend_from_slice(line);
    }
}

/// The end of the queue, on its own thread.
struct QueueDrain<W> {
    output: W,
    waiting: Arc<Waiting>,
    dropped: IntCounter,
    /// Dropped lines that were reported already.
    reported: u64,
    interval: LogInterval,
    /// The last line that was begun has no end.
    is_torn: bool,
    recovered: fn(u64),
}

impl<W: Write> QueueDrain<W> {
    fn run(&mut self, messages: &Receiver<QueueMessage>) {
        let mut batch = Batch::default();
        while let Ok(first) = messages.recv() {
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    QueueMessage::Line(line) => batch.add(&line),
                    QueueMessage::End(written) => {
                        self.write_out(&mut batch);
                        // The thread that asked may have stopped waiting.
                        let _ = written.try_send(());
                    }
                }
                if batch.bytes.len() >= BATCH {
                    self.write_out(&mut batch);
                }
                next = messages.try_recv().ok();
            }
            self.write_out(&mut batch);
            thread::park_timeout(PAUSE);
        }
    }

    fn write_out(&mut self, batch: &mut Batch) {
        self.write(&batch.bytes);
        self.waiting.remove(batch.lines, batch.bytes.len());
        batch.lines = 0;
        batch.bytes.clear();
    }

    /// Writes lines, or counts those that have to be given up.
    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
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
    use std::{sync::Mutex, time::Instant};

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
            writer.line(line.as_bytes().to_vec());
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
            writer.line(line.into_bytes());
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
            writer.line(b"\n".to_vec());
            assert!(output.wait_for(size) < SOON);
        }
        // Each of these ends a pause: a thousand take less time than a thousand pauses.
        let began = Instant::now();
        for size in 10..1010 {
            writer.line_through(b"\n".to_vec());
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
        for _ in 0..2 * WAITING_BYTES / line.len() {
            writer.line(line.clone());
        }
        assert!(writer.waiting.bytes.load(Ordering::Relaxed) <= WAITING_BYTES);
        assert!(dropped.get() >= (WAITING_BYTES / line.len()) as u64);
        // The end of the process does not wait for the reader either.
        let began = Instant::now();
        writer.finish();
        assert!(began.elapsed() < 10 * LAST_LINES);
        drop(release);
    }

    #[test]
    fn short_lines_are_bounded_too() {
        let (release, blocked) = channel::<()>();
        struct Never(Receiver<()>);
        impl Write for Never {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let dropped = counter();
        let writer = LogWriter::start(Never(blocked), dropped.clone(), |_| {}).unwrap();
        for _ in 0..2 * WAITING_LINES + BATCH {
            writer.line(b"\n".to_vec());
        }
        assert!(dropped.get() >= WAITING_LINES as u64);
        drop(release);
    }
}
