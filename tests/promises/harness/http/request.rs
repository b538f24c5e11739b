//! What the client sends, down to the byte.

use serde_json::Value;

/// What the client sends.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let headers = vec![("host".to_owned(), b"localhost".to_vec())];
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str, json: &Value) -> Self {
        Self::new("POST", target).body("application/json", json.to_string())
    }

    /// Adds a header, or replaces it.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds a header beside one of the same name.
    pub(crate) fn second_header(mut self, name: &str, value: &str) -> Self {
        self.headers
            .push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn key(self, key: impl AsRef<[u8]>) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-type", content_type)
            .header("content-length", length)
    }

    /// What its body calls itself, if it goes there.
    pub(crate) fn named_at(&self, target: &str) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        (self.target == target).then_some(body["name"].as_str()?.to_owned())
    }

    pub(crate) fn has_key(&self) -> bool {
        self.value("idempotency-key").is_some()
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let header = self.headers.iter().find(|(present, _)| present == name);
        header.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The same with a body that means the same and is one byte longer.
    pub(crate) fn with_longer_body(self) -> Self {
        let mut body = self.body.clone();
        body.push(b' ');
        self.body("application/json", body)
    }

    /// Head and body as they go over the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The wire's bytes, cut in the middle of the body.
    pub(crate) fn split_in_body(&self) -> (Vec<u8>, Vec<u8>) {
        assert!(self.body.len() > 1, "no body to cut");
        let mut bytes = self.bytes();
        let rest = bytes.split_off(bytes.len() - self.body.len() / 2);
        (bytes, rest)
    }
}
