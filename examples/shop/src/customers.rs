//! Customers, and the token by which a request tells who is asking.

use sha2::{Digest, Sha256};
use sqlx::PgExecutor;
use twelve::axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use twelve::{Mailbox, clap, prelude::*};
use uuid::Uuid;

/// The routes of customers.
pub fn routes() -> Router {
    Router::new().route("/customers", post(sign_up))
}

/// Who is asking: the customer whose token the request carries.
#[derive(Clone, Copy, Debug)]
pub struct Customer {
    /// The customer's id.
    pub id: Uuid,
}

impl FromRequestParts<Context> for Customer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, context: &Context) -> Result<Self> {
        // The scope of an idempotency key asks first, the handler again: one look-up serves both.
        if let Some(known) = parts.extensions.get() {
            return Ok(*known);
        }
        let token = bearer(&parts.headers).ok_or_else(Problem::unauthorized)?;
        let customer = Self::of_token(&context.db()?, token).await?;
        parts.extensions.insert(customer);
        Ok(customer)
    }
}

impl Customer {
    /// The customer whose token this is; nobody's is a 401.
    pub async fn of_token(db: impl PgExecutor<'_>, token: &str) -> Result<Self> {
        let id = sqlx::query_scalar("SELECT id FROM customers WHERE token_hash = $1")
            .bind(hash(token))
            .fetch_optional(db)
            .await?
            .ok_or_else(Problem::unauthorized)?;
        Ok(Self { id })
    }
}

/// The scope of idempotency keys: two customers may choose the same one, and it counts for each of them alone.
pub async fn by_customer(who: Customer) -> Uuid {
    who.id
}

/// The token in `Authorization: Bearer TOKEN`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[derive(Deserialize)]
struct NewCustomer {
    email: String,
}

#[derive(Serialize)]
struct Token {
    token: String,
}

async fn sign_up(mut tx: Tx, Json(new): Json<NewCustomer>) -> Result<impl IntoResponse> {
    let token = insert(&mut tx, &new.email).await?;
    Ok((StatusCode::CREATED, Json(Token { token })))
}

/// The arguments of `shop run add-customer`.
#[derive(clap::Args)]
pub struct AddCustomer {
    /// Where receipts go.
    email: String,
}

/// `shop run add-customer -- EMAIL`: prints the new customer's token.
pub async fn add_customer(new: Args<AddCustomer>, mut tx: Tx) -> Result<()> {
    let token = insert(&mut tx, &new.email).await?;
    println!("{token}");
    Ok(())
}

/// Adds a customer, and answers with the token; only its hash is kept.
async fn insert(db: impl PgExecutor<'_>, email: &str) -> Result<String> {
    // What is taken here can be written to later: a receipt that cannot be addressed would hold up its order.
    let mailbox: Result<Mailbox, _> = email.parse();
    if mailbox.is_err() || mailbox.is_ok_and(|mailbox| mailbox.email() != email) {
        return Err(Problem::new(422, "invalid-email", "That is no e-mail address").into());
    }
    // Two version 4 UUIDs hold 244 random bits.
    let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let added = sqlx::query(
        "INSERT INTO customers (id, email, token_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(Uuid::now_v7())
    .bind(email)
    .bind(hash(&token))
    .execute(db)
    .await?;
    if added.rows_affected() == 0 {
        let problem = Problem::new(409, "email-taken", "A customer has that address already");
        return Err(problem.into());
    }
    Ok(token)
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}
