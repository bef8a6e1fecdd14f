// The page around the terminal: who has the keyboard, and why it ended.
"use strict";

window.addEventListener("DOMContentLoaded", () => {
  const body = document.body;
  const words = document.getElementById("words");
  // A tunnel may hide from the server by which name the page was reached.
  const terminal = document.querySelector(".textual-terminal");
  const socket = new URL(new URL(terminal.dataset.sessionWebsocketUrl).pathname, window.location.href);
  socket.protocol = socket.protocol === "https:" ? "wss:" : "ws:";
  terminal.dataset.sessionWebsocketUrl = socket.href;

  document.getElementById("again").addEventListener("click", () => window.location.reload());

  async function say() {
    words.textContent = "The terminal was closed.";
    try {
      const answer = await fetch(body.dataset.words, { cache: "no-store" });
      words.textContent = (await answer.text()) || words.textContent;
    } catch {
      words.textContent = "midas-tui --serve has ended. Start it again, and open the address it prints.";
    }
  }

  let drawn = false;
  let closed = false;
  new MutationObserver(() => {
    if (!drawn && body.classList.contains("-first-byte")) {
      drawn = true;
      document.querySelector(".xterm-helper-textarea")?.focus();
    }
    if (!closed && body.classList.contains("-closed")) {
      closed = true;
      void say();
    }
  }).observe(body, { attributes: true, attributeFilter: ["class"] });
});
