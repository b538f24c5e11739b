//! What is paid is confirmed by mail: from the order to a real SMTP server.

mod delivery;
mod kills;

use std::time::Duration;

use crate::harness::process::Process;
use crate::harness::shop::{Customer, Provider, Server, Shop, fresh_key};
use crate::harness::smtp::SmtpServer;
use crate::harness::wait::until_true;

/// A mail is on its way a moment after the payment; a busy machine takes its time.
const SOON: Duration = Duration::from_secs(30);

/// A shop that takes orders and payments; who sends its mails is up to the test.
struct Trade {
    shop: Shop,
    web: Server,
    _provider: Provider,
    _worker: Process,
    customer: Customer,
}

impl Trade {
    async fn begin() -> Self {
        let shop = Shop::released().await;
        let web = shop.web(&[]).await;
        let provider = shop.payments(&[]).await;
        let worker = shop.worker(&provider.gate, &[]);
        let customer = Customer::sign_up(web.port).await;
        Self {
            shop,
            web,
            _provider: provider,
            _worker: worker,
            customer,
        }
    }

    /// Places an order, which the worker pays.
    async fn buy(&self) -> String {
        self.customer.buy(self.web.port, &fresh_key()).await
    }

    fn mailer(&self, smtp: &SmtpServer, variables: &[(&str, &str)]) -> Process {
        let launch = self.shop.launch(["mailer"]).var("SMTP_URL", smtp.url());
        launch.vars(variables).spawn()
    }

    /// Waits until so many mails are sent and confirmed.
    async fn until_sent(&self, count: usize, bound: Duration) {
        let what = format!("{count} mails to be done");
        until_true(&what, bound, async || {
            let done = "twelve.all_jobs WHERE kind = 'mail' AND state = 'done'";
            usize::try_from(self.shop.database.count(done).await) == Ok(count)
        })
        .await;
    }
}
