//! The client of the payment provider.

use reqwest::Client;
use std::time::Duration;
use twelve::prelude::*;
use url::Url;
use uuid::Uuid;

/// Where the provider is, and our key to it.
#[derive(Config)]
pub struct PaymentsSettings {
    /// The payment provider.
    #[config(env = "PAYMENTS_URL")]
    url: Url,
    /// Our key to the payment provider.
    #[config(env = "PAYMENTS_KEY")]
    key: Secret<String>,
}

/// The client of the payment provider; one for each process, for it keeps connections open.
pub struct Payments {
    http: Client,
    settings: Conf<PaymentsSettings>,
}

#[derive(Serialize)]
struct NewCharge {
    order: Uuid,
    amount_cents: i64,
}

#[derive(Deserialize)]
struct Charge {
    id: Uuid,
}

#[derive(Deserialize)]
struct Charges {
    charges: Vec<Charge>,
}

impl Payments {
    /// Makes the client; it connects on its first request.
    pub async fn connect(settings: Conf<PaymentsSettings>) -> Result<Self> {
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self { http, settings })
    }

    /// Charges an order, and answers with the charge's id; with the same key it is the same charge.
    pub async fn charge(&self, key: StepKey, order: Uuid, amount_cents: i64) -> Result<Uuid> {
        let charge: Charge = self
            .http
            .post(self.charges())
            .bearer_auth(self.settings.key.reveal())
            .header("idempotency-key", key.as_str())
            .json(&NewCharge {
                order,
                amount_cents,
            })
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(charge.id)
    }

    /// The charge that was made for an order, if any.
    pub async fn charge_of(&self, order: Uuid) -> Result<Option<Uuid>> {
        let charges: Charges = self
            .http
            .get(format!("{}?order={order}", self.charges()))
            .bearer_auth(self.settings.key.reveal())
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(charges.charges.first().map(|charge| charge.id))
    }

    fn charges(&self) -> String {
        let provider = self.settings.url.as_str().trim_end_matches('/');
        format!("{provider}/charges")
    }
}
