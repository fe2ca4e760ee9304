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

// "Hide this screen" by Shift three times within five seconds, as on GOV.UK's own exit component. Escape is not used: it
// closes dialogs and must never throw somebody out of a half-written form.
const hide = document.querySelector('[data-module="hub-hide"]');
let presses = [];
if (hide) {
  document.addEventListener("keyup", (event) => {
    if (event.key !== "Shift") {
      presses = [];
      return;
    }
    const now = Date.now();
    presses = [...presses.filter((at) => now - at < 5000), now];
    if (presses.length === 3) {
      document.body.hidden = true;
      window.location.assign(hide.href);
    }
  });
}

// A visit that is about to end by idleness says so two minutes before; the server is the judge, this is only the warning.
const idle = document.querySelector('[data-module="hub-idle"]');
if (idle) {
  const minute = 60_000;
  const tabs = new BroadcastChannel("hub-visit");
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
  tabs.addEventListener("message", wait);
  tabs.postMessage("used");
  wait();
}
