// Marks that scripts run and starts the design system; every page works without this file.
import { initAll } from "./govuk.js";

document.body.classList.add("js-enabled");
if ("noModule" in HTMLScriptElement.prototype) {
  document.body.classList.add("govuk-frontend-supported");
}
initAll();

// A page brought back from the browser's own memory asks the server whether the visit still stands.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    window.location.reload();
  }
});

// A tab that stands open elsewhere shows no name once nobody is signed in, or the screen was hidden.
const tabs = new BroadcastChannel("hub-visit");
if (document.querySelector('[data-module="hub-left"]')) {
  tabs.postMessage("left");
}

// "Hide this screen" by Shift three times within five seconds, as on GOV.UK's own exit component. Escape is not used: it
// closes dialogs and must never throw somebody out of a half-written form.
const hide = document.querySelector('[data-module="hub-hide"]');
let presses = [];
if (hide) {
  hide.addEventListener("click", () => tabs.postMessage("hidden"));
  document.addEventListener("keyup", (event) => {
    if (event.key !== "Shift") {
      presses = [];
      return;
    }
    const now = Date.now();
    presses = [...presses.filter((at) => now - at < 5000), now];
    if (presses.length === 3) {
      document.body.hidden = true;
      tabs.postMessage("hidden");
      window.location.assign(hide.href);
    }
  });
}

// A visit that is about to end by idleness says so two minutes before; the server is the judge, this is only the warning.
const idle = document.querySelector('[data-module="hub-idle"]');
if (idle) {
  const minute = 60_000;
  const leave = () => window.location.replace("/");
  let timers = [];
  const wait = () => {
    timers.forEach(clearTimeout);
    idle.close();
    const whole = Number(idle.dataset.minutes) * minute;
    timers = [setTimeout(() => idle.showModal(), whole - 2 * minute), setTimeout(leave, whole)];
  };
  const stay = async () => {
    const answer = await fetch("/stay", { method: "POST", body: new URLSearchParams({ csrf: idle.dataset.csrf }) });
    if (answer.ok) {
      tabs.postMessage("used");
      wait();
    } else {
      leave();
    }
  };
  // Dismissing the warning, also by Escape, means that somebody is there.
  idle.addEventListener("cancel", stay);
  idle.querySelector("button").addEventListener("click", stay);
  tabs.addEventListener("message", ({ data }) => {
    if (data === "used") {
      wait();
      return;
    }
    document.body.hidden = true;
    window.location.replace(data === "hidden" ? "/leave" : "/");
  });
  tabs.postMessage("used");
  wait();
}

// The work list, and a delivery whether it still stands, ask for themselves once a minute. That does not count as use: the
// visit ends as if nobody had asked. Where the keyboard is stays where it is, and a listener is told only when something
// other than the time has changed.
const renewal = document.querySelector('[data-module="hub-renewal"]');
if (renewal) {
  const told = (list) => list.dataset.told ?? [...list.querySelectorAll("tbody tr, .hub-strip")].map((row) => row.textContent).join();
  const renew = async () => {
    const answer = await fetch(renewal.dataset.from).catch(() => null);
    if (answer && (answer.status === 401 || answer.status === 403)) {
      window.location.replace("/");
      return;
    }
    if (!answer || !answer.ok) {
      return; // "As of" says how old the list is; the next minute tries again
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector('[data-module="hub-renewal"]');
    if (!fresh) {
      return;
    }
    if (told(fresh) === told(renewal)) {
      const [as, now] = [renewal, fresh].map((list) => list.querySelector(".hub-as-of"));
      if (as && now) {
        as.textContent = now.textContent;
      }
      return;
    }
    const held = renewal.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    Object.assign(renewal.dataset, fresh.dataset);
    renewal.replaceChildren(...fresh.childNodes);
    [...renewal.querySelectorAll("a")].find((link) => link.getAttribute("href") === held)?.focus();
    document.querySelector("#renewal").textContent = renewal.dataset.says ?? "The work list has changed";
  };
  setInterval(renew, 60_000);
}
