// The page at /: provinces, open alerts and the live stream, from /api/v1.

import { eventsOf } from "/page/stream.js";
import { TEXTS } from "/page/texts.js";

const REFRESH_MS = 15000;
const AFTER_EVENT_MS = 1000; // events come in bursts: refresh once for many
const RETRY_MS = 5000;
const SHOWN_ALERTS = 100;
const PLATFORM = "@platform"; // the device of alerts on govsense itself
const SHOWN_EVENTS = 50;
const SYMBOLS = { critical: "◆", warning: "▲", info: "●" };

const byId = (id) => document.getElementById(id);

let language = firstLanguage();
let key = sessionStorage.getItem("key") ?? ""; // never in an address, a cookie or another tab
let loginProblem = "";
let connection = "connecting";
let facts = null; // the last answers of the API
let reachable = true;
let pendingRefresh = 0;
const events = []; // newest first

function firstLanguage() {
  const asked = new URLSearchParams(location.search).get("lang");
  if (asked in TEXTS) {
    localStorage.setItem("language", asked);
    return asked;
  }
  const kept = localStorage.getItem("language");
  return kept in TEXTS ? kept : "en";
}

function text(name, values = {}) {
  return TEXTS[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function known(prefix, name) {
  return TEXTS[language][`${prefix}_${name}`] ?? name;
}

function localName(item) {
  return (language === "lo" && item.name_lo) || item.name_en;
}

function clock(iso) {
  return new Date(iso).toLocaleString("en-GB", {
    timeZone: "Asia/Vientiane",
    day: "2-digit",
    month: "2-digit",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

function element(tag, className, content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = content;
  return made;
}

function show() {
  document.documentElement.lang = language;
  showLogin();
  for (const place of document.querySelectorAll("[data-text]")) {
    place.textContent = text(place.dataset.text);
  }
  const other = language === "en" ? "lo" : "en";
  byId("language").textContent = text("otherLanguage");
  byId("language").lang = other;
  byId("connection").textContent = text(connection);
  byId("connection").dataset.state = connection;
  showNotice();
  showEvents();
  if (!facts) {
    byId("summary").textContent = reachable ? text("loading") : "";
    return;
  }
  const counts = totals();
  byId("summary").textContent = summary(counts);
  byId("refreshed").textContent = text("refreshed", { time: clock(facts.now) });
  showProvinces();
  showAlerts(counts);
}

function showLogin() {
  byId("login").hidden = Boolean(key);
  for (const id of ["facts", "logout", "connection"]) byId(id).hidden = !key;
  byId("login-problem").hidden = !loginProblem;
  byId("login-problem").textContent = loginProblem && text(loginProblem);
}

function totals() {
  const counts = { all: 0, heard: 0, silent: 0, never: 0, alerts: 0 };
  for (const province of facts.provinces) {
    const { registered, active, silent, abandoned } = province.devices;
    counts.never += registered;
    counts.heard += active;
    counts.silent += silent + abandoned;
    counts.alerts += province.open_alerts;
  }
  counts.alerts += facts.alerts.items.filter((alert) => alert.device === PLATFORM).length;
  counts.all = counts.never + counts.heard + counts.silent;
  return counts;
}

function summary(counts) {
  if (counts.all === 0) return text("noDevices");
  if (counts.never === counts.all) return text("nothingHeard", counts);
  return text("summary", counts);
}

function showNotice() {
  const notice = byId("unready");
  const failed = facts ? facts.checks.filter((check) => !check.ok) : [];
  notice.hidden = reachable && failed.length === 0;
  if (!reachable) {
    notice.textContent = facts
      ? text("unreachable", { time: clock(facts.now) })
      : text("unreachableAtFirst");
  } else if (failed.length) {
    const checks = failed.map((check) => known("check", check.name)).join(", ");
    notice.textContent = text("unready", { checks });
  }
}

function showProvinces() {
  byId("provinces").replaceChildren(
    ...facts.provinces.map((province) => {
      const { registered, active, silent, abandoned } = province.devices;
      const row = document.createElement("tr");
      const name = element("th", "", localName(province));
      name.scope = "row";
      row.append(
        name,
        numberCell("heard", active),
        numberCell("silent", silent + abandoned),
        numberCell("neverHeard", registered),
        numberCell("alerts", province.open_alerts),
      );
      return row;
    }),
  );
}

function numberCell(label, number) {
  const cell = element("td", number ? "number" : "number zero", String(number));
  cell.dataset.label = text(label);
  return cell;
}

function showAlerts(counts) {
  const { items, next } = facts.alerts;
  const note = byId("alerts-note");
  note.textContent = next ? text("moreAlerts", { shown: items.length }) : "";
  if (items.length === 0) {
    note.textContent = counts.heard ? text("noAlerts", counts) : text("noAlertsUnknown");
  }
  byId("alerts").replaceChildren(...items.map(alertItem));
}

function alertItem(alert) {
  const item = document.createElement("li");
  item.dataset.severity = alert.severity;
  const line = element("p", "facts", "");
  line.append(
    severity(alert.severity),
    element("span", "", deviceName(alert.device)),
    element("span", "", alert.site),
    element("span", "", text("since", { time: clock(alert.event_time) })),
    element("span", "", known("state", alert.state)),
  );
  item.append(line, explanation(alert));
  return item;
}

function deviceName(device) {
  return device === PLATFORM ? text("platform") : device;
}

function severity(name) {
  return element("span", "severity", `${SYMBOLS[name] ?? ""} ${known("severity", name)}`);
}

function explanation(alert) {
  const said = (language === "lo" && alert.text_lo) || alert.text_en;
  const paragraph = element("p", "explanation", said);
  paragraph.lang = said === alert.text_lo ? "lo" : "en";
  return paragraph;
}

function showEvents() {
  byId("stream-note").textContent = events.length ? "" : text("noEvents");
  byId("stream").replaceChildren(...events.map(eventItem));
}

function eventItem({ type, data }) {
  const item = document.createElement("li");
  const line = element("p", "facts", "");
  if (data.at) line.append(element("time", "", clock(data.at)));
  line.append(element("span", "", known("event", type)));
  if (data.severity) {
    item.dataset.severity = data.severity;
    line.append(severity(data.severity));
  }
  const what = data.action ? known("action", data.action) : known("state", data.state ?? "");
  if (what) line.append(element("span", "", what));
  if (data.device) line.append(element("span", "", deviceName(data.device)));
  if (data.by) line.append(element("span", "", data.by));
  if (data.muted) line.append(element("span", "", known("muted", data.muted)));
  item.append(line);
  if (data.action && data.comment) item.append(element("p", "explanation", data.comment));
  if (data.text_en) item.append(explanation(data));
  return item;
}

function ask(path, withKey, signal) {
  return fetch(`/api/v1/${path}`, { headers: { Authorization: `Bearer ${withKey}` }, signal });
}

async function answer(path) {
  const asked = key;
  const response = await ask(path, asked, AbortSignal.timeout(10000));
  if (response.status === 401 && asked === key) logOut("keyRefused");
  const body = await response.json();
  if (!response.ok && !body.checks) throw new Error(body.detail);
  return body;
}

async function refresh() {
  clearTimeout(pendingRefresh);
  pendingRefresh = 0;
  if (!key) return;
  const asked = key;
  try {
    const [ready, provinces, alerts] = await Promise.all([
      answer("ready"),
      answer("provinces"),
      answer(`alerts?state=open&limit=${SHOWN_ALERTS}`),
    ]);
    if (asked !== key) return;
    facts = { now: ready.now, checks: ready.checks, provinces: provinces.items, alerts };
    reachable = true;
  } catch (error) {
    if (asked !== key) return;
    console.warn(error);
    reachable = false;
  }
  show();
  refreshIn(REFRESH_MS);
}

function refreshIn(milliseconds) {
  clearTimeout(pendingRefresh);
  pendingRefresh = setTimeout(refresh, milliseconds);
}

let listening = new AbortController();

async function listen() {
  const { signal } = listening;
  let last = "";
  while (!signal.aborted) {
    try {
      const response = await ask(last ? `events?after=${last}` : "events", key, signal);
      if (response.status === 401) return logOut("keyRefused");
      if (!response.ok) throw new Error(`events: ${response.status}`);
      setConnection("connected");
      for await (const event of eventsOf(response.body)) {
        last = event.id;
        take(event);
      }
    } catch (error) {
      if (signal.aborted) return;
    }
    setConnection("disconnected");
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

function take({ type, data }) {
  if (!["alert", "device", "reset"].includes(type)) return;
  events.unshift({ type, data: JSON.parse(data) });
  events.length = Math.min(events.length, SHOWN_EVENTS);
  showEvents();
  refreshSoon();
}

async function logIn(given) {
  let problem = "";
  try {
    const response = /^[!-~]+$/.test(given)
      ? await ask("me", given, AbortSignal.timeout(10000))
      : { ok: false };
    if (!response.ok) problem = response.status === 429 ? "tooOften" : "keyRefused";
  } catch {
    problem = "unreachableAtFirst";
  }
  if (problem) return logOut(problem);
  sessionStorage.setItem("key", given);
  key = given;
  loginProblem = "";
  byId("key").value = "";
  begin();
}

function logOut(problem = "") {
  sessionStorage.removeItem("key");
  key = "";
  loginProblem = problem;
  facts = null;
  events.length = 0;
  connection = "connecting";
  listening.abort();
  show();
}

function begin() {
  show();
  if (!key) return;
  listening = new AbortController();
  listen();
  refresh();
}

let soon = false;

function refreshSoon() {
  if (soon) return;
  soon = true;
  setTimeout(() => {
    soon = false;
    refresh();
  }, AFTER_EVENT_MS);
}

function setConnection(state) {
  const back = connection === "disconnected" && state === "connected";
  connection = state;
  show();
  if (back) refresh();
}

byId("language").addEventListener("click", () => {
  language = language === "en" ? "lo" : "en";
  localStorage.setItem("language", language);
  show();
});

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(byId("key").value.trim());
});

byId("logout").addEventListener("click", () => logOut());

begin();
