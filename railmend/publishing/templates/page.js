// Reads the page again while it is looked at; whoever is writing, or reads something opened, is not disturbed.
"use strict";
const seconds = 30;
setInterval(async () => {
  const focused = document.activeElement;
  const writing = [...document.querySelectorAll("input[name=reason]")].some((field) => field.value);
  if (document.hidden || writing || focused?.closest("form")) return;
  const age = document.getElementById("age");
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
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
