// Keeps the picture current. The server renders; this only swaps parts that changed, and never
// under a finger: focus, opened details and a tap in progress survive.
"use strict";
(() => {
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  const say = document.getElementById("say");
  let held = false;
  let waiting = null;
  let lostTimer = 0;
  let pollTimer = 0;

  const localTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const today = at.toDateString() === new Date().toDateString();
      const clock = time.classList.contains("day") ? {} : { hour: "2-digit", minute: "2-digit" };
      const day = { day: "numeric", month: "short", ...(at.getFullYear() === new Date().getFullYear() && clock.hour ? {} : { year: "numeric" }) };
      time.textContent = at.toLocaleString(document.documentElement.lang, today && clock.hour ? clock : { ...clock, ...day });
    }
  };
  localTimes(document);
  if (!live) return;

  const keyed = (root) => [...root.querySelectorAll("[data-key]")];

  const swap = (old, fresh) => {
    if (old.dataset.source === fresh.outerHTML) return;
    const focus = document.activeElement && old.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const opened = new Set(keyed(old).filter((each) => each.open).map((each) => each.dataset.key));
    const said = old.querySelector("[data-say]");
    fresh.dataset.source = fresh.outerHTML;
    localTimes(fresh);
    for (const each of keyed(fresh)) if (opened.has(each.dataset.key)) each.open = true;
    old.replaceWith(fresh);
    if (focus) keyed(fresh).find((each) => each.dataset.key === focus)?.focus();
    const now = fresh.querySelector("[data-say]");
    if (now && said && now.textContent !== said.textContent) {
      say.textContent = now.textContent;
      document.getElementById("notice")?.remove();
    }
  };

  const show = (html) => {
    if (held) { waiting = html; return; }
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const fresh of page.querySelectorAll("[data-part]")) {
      const old = live.querySelector(`[data-part="${fresh.dataset.part}"]`);
      if (old) swap(old, document.adoptNode(fresh));
    }
  };

  document.addEventListener("pointerdown", () => { held = true; });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => setTimeout(() => {
      held = false;
      if (waiting !== null) { const html = waiting; waiting = null; show(html); }
    }, 150));
  }
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || !live.contains(button)) return;
    button.disabled = true;
    button.textContent = live.dataset.working;
  });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const found = () => { clearTimeout(lostTimer); lostTimer = 0; lost.hidden = true; };
  const missing = () => {
    if (lostTimer) return;
    lostTimer = setTimeout(() => { lost.textContent = lost.dataset.text; lost.hidden = false; }, 6000);
  };
  const leave = () => location.assign("/login?ended=1");

  const poll = async () => {
    try {
      const answer = await fetch("/live", { cache: "no-store" });
      if (answer.status === 401) return leave();
      found();
      if (answer.ok) show(await answer.text());
    } catch { missing(); }
    pollTimer = setTimeout(poll, 5000);
  };

  let stream = null;
  const listen = () => {
    stream = new EventSource("/events");
    stream.onopen = found;
    stream.addEventListener("picture", (event) => { found(); show(JSON.parse(event.data)); });
    stream.addEventListener("ended", () => { stream.close(); leave(); });
    stream.addEventListener("full", () => { stream.close(); poll(); });
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) poll(); else missing();
    };
  };
  // A hidden page gives its seat back; the radio of a phone likes that too.
  document.addEventListener("visibilitychange", () => {
    stream?.close();
    clearTimeout(pollTimer);
    if (!document.hidden) listen();
  });
  if (!document.hidden) listen();
})();
