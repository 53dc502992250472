// The person's page. It asks /v1/subject/* of the host that served it, and nobody else.
//
// A link's secret is in the fragment. It is used only after a button is pressed: a mail scanner that opens the page uses
// no link up. The session's key lives in this page's memory, and goes when the page does.
"use strict";

const el = (id) => document.getElementById(id);
const link = new URLSearchParams(location.hash.slice(1));
// Out of the address bar and the history, before anything else can read it there.
history.replaceState(null, "", location.pathname);

let apiKey = "";
let nextUses = "";
let voiceNames = new Map();

function say(text) {
  el("message").textContent = text;
}

function show(...ids) {
  for (const id of ["confirm", "sign-in", "ask", "own"]) el(id).hidden = !ids.includes(id);
}

async function call(method, path, body) {
  const headers = {};
  if (apiKey) headers["Authorization"] = `Bearer ${apiKey}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(`v1/subject/${path}`, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
    credentials: "omit", referrerPolicy: "no-referrer",
  });
  if (answer.ok) return answer;
  let message = `The service answered ${answer.status}.`;
  try { message = (await answer.json()).error.message; } catch { /* not one of ours */ }
  if (answer.status === 401 && apiKey) { apiKey = ""; show("ask"); }
  throw new Error(message);
}

// Run what a button does: never twice at once, and whatever goes wrong is told.
function on(id, event, action) {
  const target = el(id);
  target.addEventListener(event, (given) => { given.preventDefault(); run(target, action); });
}

async function run(target, action) {
  if (target.dataset.busy) return;
  target.dataset.busy = "yes";
  say("");
  try { await action(); } catch (error) { say(error.message); } finally { delete target.dataset.busy; }
}

function button(text, action) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", () => run(made, action));
  return made;
}

function item(text, ...buttons) {
  const made = document.createElement("li");
  const words = document.createElement("div");
  words.textContent = text;
  made.append(words, ...buttons);
  return made;
}

const when = (seconds) => new Date(seconds * 1000).toLocaleString();

async function save(path, name) {
  const blob = await (await call("GET", path)).blob();
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10_000);
}

function voiceItem(voice) {
  const path = `voices/${encodeURIComponent(voice.voice_id)}`;
  if (voice.state === "decommissioned") {
    return item(`${voice.name || voice.voice_id}: deleted`,
      button("Certificate of deletion", () => save(`${path}/certificate`, `deletion-${voice.voice_id}.json`)));
  }
  return item(`${voice.name} (${voice.language}): ${voice.state}`, button("Delete this voice", async () => {
    if (!confirm(`Delete “${voice.name}” for ever? Every consent for it ends, and its recordings and clips are destroyed. This cannot be undone.`)) return;
    say("Deleting; this can take a while …");
    await call("POST", `${path}/decommission`, { reason: "deleted by the person" });
    await save(`${path}/certificate`, `deletion-${voice.voice_id}.json`);
    await refresh();
    say("The voice is deleted. Keep the certificate: your address is deleted too, so there is no other way to it later.");
  }));
}

function consentItem(consent) {
  const terms = consent.terms;
  const path = `consents/${encodeURIComponent(consent.consent_id)}`;
  const voice = voiceNames.get(consent.voice_id) || consent.voice_id;
  const until = consent.state === "live" ? `until ${when(terms.valid_until)}` : `withdrawn ${when(consent.revoked_at)}`;
  const buttons = [button("Receipt", () => save(`${path}/receipt`, `receipt-${consent.consent_id}.json`))];
  if (consent.state === "live") {
    buttons.push(button("Withdraw", async () => {
      if (!confirm("Withdraw this consent? Nothing new is spoken under it from now on. This cannot be undone.")) return;
      await call("POST", `${path}/revoke`, {});
      await refresh();
      say("The consent is withdrawn.");
    }));
  }
  return item(`${voice}: ${terms.grantee}, for ${terms.purposes.join(", ")}, in ${terms.languages.join(", ")}, ${until}`, ...buttons);
}

async function showUses() {
  const page = await (await call("GET", `uses?limit=50&after=${encodeURIComponent(nextUses)}`)).json();
  for (const use of page.uses) {
    const row = document.createElement("tr");
    const cells = [when(use.at), voiceNames.get(use.voice_id) || use.voice_id, use.purpose, use.grantee, use.seconds.toFixed(1)];
    for (const text of cells) row.insertCell().textContent = text;
    el("uses").append(row);
  }
  nextUses = page.next;
  el("more-button").hidden = !nextUses;
}

async function refresh() {
  const voices = await (await call("GET", "voices")).json();
  const consents = await (await call("GET", "consents")).json();
  voiceNames = new Map(voices.map((voice) => [voice.voice_id, voice.name]));
  el("voices").replaceChildren(...voices.map(voiceItem));
  el("consents").replaceChildren(...consents.map(consentItem));
  el("uses").replaceChildren();
  nextUses = "";
  await showUses();
}

on("confirm-button", "click", async () => {
  const answer = await (await call("POST", "contact", { token: link.get("confirm") })).json();
  show("ask");
  say(answer.state === "confirmed"
    ? "Thank you: this address is confirmed. Ask for a link below whenever you want to sign in."
    : "Thank you: a link was sent to the new address, which must be confirmed too.");
});

on("sign-in-button", "click", async () => {
  const session = await (await call("POST", "sign-in", { token: link.get("sign_in") })).json();
  apiKey = session.api_key;
  show("own");
  await refresh();
});

on("ask-form", "submit", async () => {
  await call("POST", "links", { tenant: el("tenant").value.trim(), contact: el("contact").value.trim() });
  say("If this address is confirmed, a link is on its way to it.");
});

on("sign-out-button", "click", async () => {
  await call("POST", "sign-out");
  apiKey = "";
  for (const id of ["voices", "consents", "uses"]) el(id).replaceChildren();
  show("ask");
  say("You are signed out.");
});

on("more-button", "click", showUses);

el("tenant").value = link.get("tenant") || "";
show(link.has("confirm") ? "confirm" : link.has("sign_in") ? "sign-in" : "ask");
