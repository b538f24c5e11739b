// The shop's page. It talks to the same API as everybody else.

const live = document.querySelector("meta[name=live]").content;
const euros = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
const times = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let token = localStorage.getItem("token");

// --- The API -----------------------------------------------------------------

/** An answer that is no success: its text is the problem document's. */
class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ? `${problem.title}: ${problem.detail}` : problem.title);
    this.status = status;
  }
}

async function ask(path, { body, key } = {}) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (key) headers["idempotency-key"] = key;
  if (body) headers["content-type"] = "application/json";
  const method = body ? "POST" : "GET";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const content = await answer.json().catch(() => ({ title: `The shop answers ${answer.status}` }));
  if (answer.ok) return content;
  if (answer.status === 401) leave();
  throw new Refused(answer.status, content);
}

/** Is it unknown what became of the request, or was it only too early? Then the same key asks again. */
const mayPass = (error) => !(error instanceof Refused) || error.status >= 500 || error.status === 409;

async function insist(path, options) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask(path, options);
    } catch (error) {
      if (attempt === 5 || !mayPass(error)) throw error;
      await pause(300 * 2 ** attempt * (0.5 + Math.random()));
    }
  }
}

function complain(error) {
  const known = error instanceof Refused;
  $("problem").textContent = known ? error.message : "The shop cannot be reached. Please try again.";
  $("problem").hidden = false;
}

/** Runs what a person has asked for, and shows what goes wrong. */
async function act(button, action) {
  button.disabled = true;
  $("problem").hidden = true;
  try {
    await action();
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

/** `randomUUID` is there only on localhost and over TLS. */
const freshKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// --- Signing up --------------------------------------------------------------

function show() {
  $("sign-up").hidden = Boolean(token);
  for (const id of ["order", "orders", "leave"]) $(id).hidden = !token;
}

function leave() {
  localStorage.removeItem("token");
  location.reload();
}

$("leave").addEventListener("click", () => {
  if (confirm("Only this browser knows your token. Forget it?")) leave();
});

$("sign-up").addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.submitter, async () => {
    ({ token } = await ask("/customers", { body: { email: $("email").value } }));
    localStorage.setItem("token", token);
    show();
    follow();
  });
});

// --- Choosing ----------------------------------------------------------------

const quantities = () => [...$("products").querySelectorAll("input")];

function addUp() {
  const cents = quantities().reduce((sum, input) => sum + input.valueAsNumber * input.dataset.cents || sum, 0);
  $("total").textContent = euros.format(cents / 100);
  $("order").querySelector(".line button").disabled = cents === 0;
}

function offer({ sku, name, price_cents }) {
  const item = $("product").content.cloneNode(true);
  const input = item.querySelector("input");
  input.id = `quantity-${sku}`;
  Object.assign(input.dataset, { sku, cents: price_cents });
  item.querySelector("label").htmlFor = input.id;
  item.querySelector(".name").textContent = name;
  item.querySelector(".price").textContent = euros.format(price_cents / 100);
  for (const [step, by, word] of [[".fewer", -1, "less"], [".more", 1, "more"]]) {
    const button = item.querySelector(step);
    button.ariaLabel = `One ${word}: ${name}`;
    button.addEventListener("click", () => {
      input.value = Math.min(1000, Math.max(0, (input.valueAsNumber || 0) + by));
      addUp();
    });
  }
  input.addEventListener("input", addUp);
  $("products").append(item);
}

// --- Ordering ----------------------------------------------------------------

/** What became of this order is not known: the same click again must not be a second order. */
let unsure = null;

$("order").addEventListener("submit", (event) => {
  event.preventDefault();
  const items = quantities()
    .filter((input) => input.valueAsNumber > 0)
    .map((input) => ({ sku: input.dataset.sku, quantity: input.valueAsNumber }));
  const wish = JSON.stringify(items);
  if (unsure?.wish !== wish) unsure = { wish, key: freshKey() };
  const { key } = unsure;
  act(event.submitter, async () => {
    try {
      enter(await insist("/orders", { body: { items }, key }));
    } catch (error) {
      if (!mayPass(error)) unsure = null;
      throw error;
    }
    unsure = null;
    for (const input of quantities()) input.value = 0;
  }).then(addUp);
});

// --- Orders ------------------------------------------------------------------

/** A status only moves forward: what is heard late is old. */
const stages = ["pending", "expired", "paid"];
const orders = new Map();
let next = null;

function enter(order) {
  const known = orders.get(order.id);
  if (known) return change(order.id, order.status);
  const element = $("entry").content.cloneNode(true).firstElementChild;
  const placed = new Date(order.created_at);
  element.querySelector("time").dateTime = order.created_at;
  element.querySelector("time").textContent = times.format(placed);
  element.querySelector(".price").textContent = euros.format(order.total_cents / 100);
  orders.set(order.id, { ...order, status: null, element });
  change(order.id, order.status);
  // Ids rise with time.
  const later = [...orders.values()].filter(({ id, element }) => id < order.id && element.isConnected);
  const before = later.sort((a, b) => (a.id < b.id ? 1 : -1))[0];
  $("list").insertBefore(element, before?.element ?? null);
  $("none").hidden = true;
}

/** Answers whether the order is known. */
function change(id, status) {
  const order = orders.get(id);
  if (order && stages.indexOf(status) > stages.indexOf(order.status)) {
    order.status = status;
    const shown = order.element.querySelector(".status");
    shown.textContent = status;
    shown.dataset.status = status;
  }
  return Boolean(order);
}

async function read(after) {
  const page = await ask(after ? `/orders?after=${after}` : "/orders");
  page.orders.forEach(enter);
  if (after || next === null) next = page.next;
  $("older").hidden = !next;
  $("none").hidden = orders.size > 0;
}

$("older").addEventListener("click", (event) => act(event.target, () => read(next)));

// --- Watching ----------------------------------------------------------------

let open = false;
let failures = 0;
let reads = Promise.resolve();
const waiting = () => [...orders.values()].some(({ status }) => status === "pending");
const reread = () => (reads = reads.then(() => read()).catch(() => {}));

/** Reads, then hears of changes. While it hears nothing it asks, and now and then in any case: a change may go unheard. */
async function follow() {
  await reread();
  if (live) connect();
  for (let round = 1; ; round++) {
    await pause(2000);
    if (waiting() && (!open || round % 10 === 0)) await reread();
  }
}

function connect() {
  const socket = new WebSocket(`${live}/live?token=${encodeURIComponent(token)}`);
  const say = (text) => {
    open = socket.readyState === WebSocket.OPEN;
    $("connection").textContent = text;
    $("connection").classList.toggle("open", open);
  };
  socket.onopen = () => {
    failures = 0;
    say("live");
  };
  socket.onmessage = ({ data }) => {
    const { order, status } = JSON.parse(data);
    // One that is not known was placed in another window.
    reads = reads.then(() => change(order, status) || read()).catch(() => {});
  };
  socket.onclose = async () => {
    say("reconnecting…");
    // Drawn: a server that goes away must not meet all its clients at once when it is back.
    await pause(Math.min(15000, 500 * 2 ** failures++) * (0.5 + Math.random()));
    await reread();
    connect();
  };
}

// --- Begin -------------------------------------------------------------------

show();
insist("/products")
  .then(({ products }) => products.forEach(offer))
  .then(addUp)
  .catch(complain);
if (token) follow();
