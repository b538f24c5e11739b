// The page works without this; with it, times are local and new mails appear by themselves.

function localize(root) {
  const today = new Date().toDateString();
  for (const element of root.querySelectorAll("time")) {
    const moment = new Date(element.dateTime);
    const clock = moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const day = moment.toLocaleDateString([], { day: "numeric", month: "short" });
    element.textContent = moment.toDateString() === today ? clock : `${day}, ${clock}`;
    element.title = moment.toString();
  }
}

const shown = () => new Promise((resolve) => {
  if (!document.hidden) resolve();
  document.addEventListener("visibilitychange", resolve, { once: true });
});

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The server answers when the inbox has changed, or after a while. A hidden tab does not ask:
// browsers have few connections for one host.
async function follow(main) {
  for (;;) {
    await shown();
    try {
      const answer = await fetch(`/?after=${main.dataset.version}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("live");
      if (next.dataset.version === main.dataset.version) continue;
      localize(next);
      const focused = document.activeElement?.getAttribute("href");
      main.replaceChildren(...next.childNodes);
      main.dataset.version = next.dataset.version;
      document.title = page.title;
      if (focused) main.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    } catch {
      await pause(1000);
    }
  }
}

localize(document);
const live = document.getElementById("live");
if (live) follow(live);
