//! The shop's page: plain HTML, CSS and JavaScript, without a build step.

use twelve::axum::{
    http::{HeaderValue, header},
    response::Html,
};
use twelve::{Value, prelude::*};
use url::Url;

const PAGE: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("shop.js");

/// The routes of the page.
pub fn routes() -> Router {
    Router::new()
        .route("/", get(page))
        .route("/style.css", get(async || file("text/css", STYLE)))
        .route("/shop.js", get(async || file("text/javascript", SCRIPT)))
}

/// What the page has to know.
#[derive(Config)]
pub struct PageSettings {
    /// Where browsers find the process type `live`; without it the page asks again and again.
    #[config(env = "LIVE_URL")]
    live: Option<LiveUrl>,
}

/// The WebSocket of `live`, as a content security policy names it: `ws://host:port`.
struct LiveUrl(String);

impl Value for LiveUrl {
    const EXPECTED: &'static str = "a URL such as http://localhost:5200, without a path";

    fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if url.path() != "/" {
            return Err("has a path".into());
        }
        let origin = url.origin().ascii_serialization();
        match origin.split_once("://") {
            Some(("http" | "ws", host)) => Ok(Self(format!("ws://{host}"))),
            Some(("https" | "wss", host)) => Ok(Self(format!("wss://{host}"))),
            _ => Err("is not http or https".into()),
        }
    }
}

/// The page, and what it may do: run our script and style, and talk to us and to `live`.
async fn page(settings: Conf<PageSettings>) -> Result<impl IntoResponse> {
    let live = settings.live.as_ref().map_or("", |url| &url.0);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {live}; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::try_from(policy)?,
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, Html(PAGE.replace("{live}", live))))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
