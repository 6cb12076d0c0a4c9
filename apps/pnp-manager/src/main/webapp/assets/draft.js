// Keeps the draft while a form of the editor is being filled in; without this script it is kept at every step.
"use strict";

for (const form of document.querySelectorAll("form[data-keep]")) {
    const status = form.querySelector("[data-kept]");
    const leaving = new AbortController();
    form.addEventListener("submit", () => leaving.abort());
    form.addEventListener("change", async () => {
        const body = new URLSearchParams(new FormData(form));
        body.set("action", "keep");
        try {
            // Not form.action: the buttons of that name hide it.
            const answer = await fetch(form.getAttribute("action"), { method: "POST", body, redirect: "manual", signal: leaving.signal });
            status.textContent = answer.status === 204
                ? `Draft kept at ${new Date().toLocaleTimeString()} by ${answer.headers.get("X-Served-By")}.`
                : "Not kept yet: please look through the fields.";
        } catch {
            if (leaving.signal.aborted) {
                return;
            }
            status.textContent = "Not kept yet: the server can't be reached.";
        }
    });
}
