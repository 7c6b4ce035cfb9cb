//! Changes whose answer is lost for good: they are taken back, in whatever order their copies, the retry and the taking back come.

use redis::Commands;

use super::{
    proxy::{Mode, Proxy},
    server::at,
    *,
};

/// The longest that a slow machine may take until the store is used again.
const BACK: Duration = Duration::from_secs(30);

/// Redeems a code: it is used by this number, which gets a grant.
fn redeem(rows: &mut dyn Rows, number: u8) -> Result<Option<u8>, StoreError> {
    if rows.get(Table::Codes, b"code")?.as_deref() != Some(b"unused") {
        return Ok(None);
    }
    rows.put(Table::Codes, b"code", &[number])?;
    rows.put(Table::Grants, &[number], b"grant")?;
    Ok(Some(number))
}

fn undo(rows: &mut dyn Rows, redeemed: &Option<u8>) -> Result<(), StoreError> {
    let Some(number) = *redeemed else {
        return Ok(());
    };
    if rows.get(Table::Codes, b"code")?.as_deref() == Some(&[number]) {
        rows.put(Table::Codes, b"code", b"unused")?;
        rows.remove(Table::Grants, &[number])?;
    }
    Ok(())
}

async fn redeemed(store: &Store, number: u8) -> Result<Option<u8>, StoreError> {
    let redeem = move |rows: &mut dyn Rows| redeem(rows, number);
    store.write_or_undo(redeem, undo).await
}

/// One process that reaches the server through a proxy, another one that reaches it directly, and an unused code.
struct Case {
    shared: Shared,
    proxy: Proxy,
    cut: Store,
    settling: tokio::task::JoinHandle<()>,
}

impl Case {
    async fn new(program: &str) -> Self {
        let shared = Shared::new(program);
        let proxy = Proxy::start(shared.served.port).await;
        let folder = shared.folder.path().join("state");
        let cut = Store::connect(&at(proxy.port), &folder).unwrap();
        let issue = |rows: &mut dyn Rows| rows.put(Table::Codes, b"code", b"unused");
        cut.write(issue).await.unwrap();
        let settling = cut.clone();
        let settling = tokio::spawn(async move { settling.settle().await });
        Self {
            shared,
            proxy,
            cut,
            settling,
        }
    }

    /// The code, as the server has it.
    async fn code(&self) -> Vec<u8> {
        get(&self.shared.store, b"code").await.unwrap()
    }

    fn marks(&self) -> usize {
        let keys: Vec<String> = self.shared.served.admin().keys("*:made *").unwrap();
        keys.len()
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !is_so().await {
            assert!(begun.elapsed() < BACK, "{what}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The proxy lets everything pass, and what was in doubt is fenced off.
    async fn settled(&self) {
        let before = self.marks();
        self.proxy.set(Mode::Pass);
        self.until("it is fenced off", async || self.marks() > before)
            .await;
    }

    /// The code is used by this number, and nobody else has a grant.
    async fn is_used_by(&self, number: u8) {
        assert_eq!(self.code().await, [number]);
        let grants = self
            .shared
            .store
            .read(|rows| rows.after(Table::Grants, b"", 10));
        let grants = grants.await.unwrap();
        assert_eq!(grants, [(vec![number], b"grant".to_vec())]);
        assert_eq!(redeemed(&self.shared.store, 9).await, Ok(None));
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        self.settling.abort();
    }
}

/// The server did it, and the answer is lost.
async fn after(case: Case) {
    case.proxy.set(Mode::LoseAnswers);
    assert!(redeemed(&case.cut, 1).await.is_err());
    assert_eq!(case.code().await, [1]);
    // A retry elsewhere that comes first does not get it either.
    assert_eq!(redeemed(&case.shared.store, 2).await, Ok(None));
    case.proxy.set(Mode::Pass);
    case.until("it is taken back", async || case.code().await == b"unused")
        .await;
    assert_eq!(redeemed(&case.shared.store, 3).await, Ok(Some(3)));
    case.is_used_by(3).await;
}

/// The same, and nobody waited for the answer any longer.
async fn after_the_asker_left(case: Case) {
    case.proxy.set(Mode::LoseAnswers);
    let left = tokio::time::timeout(Duration::from_millis(800), redeemed(&case.cut, 1));
    assert!(left.await.is_err());
    assert_eq!(case.code().await, [1]);
    case.proxy.set(Mode::Pass);
    case.until("it is taken back", async || case.code().await == b"unused")
        .await;
    assert_eq!(redeemed(&case.cut, 3).await, Ok(Some(3)));
    case.is_used_by(3).await;
}

/// The server did not learn of it.
async fn before(case: Case) {
    case.proxy.set(Mode::LoseCommands);
    assert!(redeemed(&case.cut, 1).await.is_err());
    assert_eq!(redeemed(&case.shared.store, 2).await, Ok(Some(2)));
    case.settled().await;
    case.is_used_by(2).await;
}

/// The server learns of it when somebody else has redeemed the code.
async fn late_after_the_retry(case: Case) {
    case.proxy.set(Mode::HoldCommands);
    assert!(redeemed(&case.cut, 1).await.is_err());
    assert_eq!(redeemed(&case.shared.store, 2).await, Ok(Some(2)));
    case.proxy.deliver().await;
    case.is_used_by(2).await;
    case.settled().await;
    case.is_used_by(2).await;
}

/// The server learns of it when it is settled already.
async fn late_after_the_settling(case: Case) {
    case.proxy.set(Mode::HoldCommands);
    assert!(redeemed(&case.cut, 1).await.is_err());
    case.settled().await;
    case.proxy.deliver().await;
    assert_eq!(case.code().await, b"unused");
    assert_eq!(redeemed(&case.shared.store, 2).await, Ok(Some(2)));
    case.is_used_by(2).await;
}

/// The server learns of it before it is settled, and after the retry was refused.
async fn late_before_the_settling(case: Case) {
    case.proxy.set(Mode::HoldCommands);
    assert!(redeemed(&case.cut, 1).await.is_err());
    case.proxy.deliver().await;
    assert_eq!(redeemed(&case.shared.store, 2).await, Ok(None));
    case.settled().await;
    case.until("it is taken back", async || case.code().await == b"unused")
        .await;
    assert_eq!(redeemed(&case.shared.store, 3).await, Ok(Some(3)));
    case.is_used_by(3).await;
}

/// What is confirmed later is confirmed when the server is back.
async fn later(case: Case) {
    case.proxy.set(Mode::LoseCommands);
    case.cut
        .write_later(|rows| rows.put(Table::Meta, b"confirmed", b"yes"));
    sleep(Duration::from_millis(300)).await;
    case.proxy.set(Mode::Pass);
    case.until("it is confirmed", async || {
        let read = case
            .shared
            .store
            .read(|rows| rows.get(Table::Meta, b"confirmed"));
        read.await.unwrap().is_some()
    })
    .await;
}

/// A case for each order. Starting blocks, so that is over before the first deadline runs.
async fn cases(program: &str) -> [Case; 7] {
    let mut cases = Vec::new();
    for _ in 0..7 {
        cases.push(Case::new(program).await);
    }
    cases.try_into().unwrap_or_else(|_| unreachable!())
}

async fn every_order([one, two, three, four, five, six, seven]: [Case; 7]) {
    tokio::join!(
        after(one),
        after_the_asker_left(two),
        before(three),
        late_after_the_retry(four),
        late_after_the_settling(five),
        late_before_the_settling(six),
        later(seven),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_answered_with_an_error_has_not_happened_in_any_order() {
    let [redis, valkey] = PROGRAMS;
    let (redis, valkey) = (cases(redis).await, cases(valkey).await);
    tokio::join!(every_order(redis), every_order(valkey));
}
