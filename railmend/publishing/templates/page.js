// Reads the page again while it is looked at; whoever is writing, or reads something opened, is not disturbed.
"use strict";
const seconds = 30;
const busy = () =>
  document.hidden ||
  [...document.querySelectorAll("input[name=reason]")].some((field) => field.value) ||
  document.activeElement?.closest("form");
setInterval(async () => {
  if (busy()) return;
  const age = document.getElementById("age");
  try {
    const answer = await fetch("/", { cache: "no-store" });
    const text = await answer.text();
    if (busy()) return;
    if (!answer.ok) {
      age.textContent = `This is old: ${text}`;
      return;
    }
    const focused = document.activeElement;
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const shown of document.querySelectorAll("details[open][id]"))
      fresh.getElementById(shown.id)?.setAttribute("open", "");
    const place = focused?.closest("main [id]")?.id;
    document.title = fresh.title;
    for (const part of ["header", "main"])
      document.querySelector(part).replaceWith(fresh.querySelector(part));
    if (place) document.getElementById(place)?.querySelector("summary, a")?.focus({ preventScroll: true });
  } catch {
    age.textContent = "This is old: nothing answers. Is `starter.py web` still running?";
  }
}, seconds * 1000);
