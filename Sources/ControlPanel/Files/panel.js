// What pages do beyond links and forms: they follow the room, seats are moved on the plan, and a line is copied. Without it all of them work.
"use strict";

// --- Following the room: the server says that it has changed, the page fetches itself and puts in the parts that differ.

const live = {
  wanted: false,
  running: false,
  last: 0,
  isPointerDown: false,

  begin() {
    const address = document.body.dataset.liveEvents;
    if (!address || !document.querySelector("[data-live]")) return;
    this.listen(address);
    document.addEventListener("pointerdown", () => { this.isPointerDown = true; });
    document.addEventListener("pointerup", () => { this.isPointerDown = false; if (this.wanted) this.want(); });
    window.addEventListener("pagehide", () => this.events.close());
  },

  // The browser tries a stream again that broke off, and not one that was refused: the sign-in has ended, which the page's own fetch finds, or the
  // server begins anew.
  listen(address) {
    const mark = document.querySelector("[data-not-live]");
    const events = this.events = new EventSource(address);
    events.addEventListener("open", () => { mark.hidden = true; this.want(); });
    events.addEventListener("changed", () => this.want());
    events.addEventListener("error", () => {
      mark.hidden = false;
      if (events.readyState === EventSource.CLOSED) setTimeout(() => { this.want(); this.listen(address); }, 3000);
    });
  },

  want() {
    this.wanted = true;
    if (this.running) return;
    this.running = true;
    setTimeout(() => this.fetch(), Math.max(0, this.last + 50 - Date.now()));
  },

  async fetch() {
    this.wanted = false;
    this.last = Date.now();
    try {
      const answer = await fetch(location.href, { headers: { "X-Punnet-Live": "1" }, credentials: "same-origin" });
      if (answer.redirected) return location.assign(answer.url);
      if (answer.ok) this.put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The stream tells when the server is there again.
    }
    this.running = false;
    if (this.wanted && !this.isPointerDown) this.want();
  },

  put(fresh) {
    if (this.isPointerDown) { this.wanted = true; return; }
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      if (!next || this.isTyping(part)) continue;
      this.carryOver(part, next);
      if (next.isEqualNode(part)) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement : null;
      const again = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.name ? `[name="${focused.name}"][value="${CSS.escape(focused.value)}"]` : null);
      part.replaceWith(next);
      if (again) next.querySelector(again)?.focus({ preventScroll: true });
    }
  },

  isTyping(part) {
    const active = document.activeElement;
    return part.contains(active) && active.matches("input:not([type=checkbox]), textarea, select");
  },

  // What the person has ticked, opened and filled in stays so.
  carryOver(part, next) {
    for (const box of part.querySelectorAll("input[type=checkbox]:checked")) {
      const same = next.querySelector(`input[name="${box.name}"][value="${CSS.escape(box.value)}"]`);
      if (same) same.checked = true;
    }
    for (const field of part.querySelectorAll("input[id]:not([type=checkbox]), select[id]")) {
      const same = next.querySelector(`#${CSS.escape(field.id)}`);
      if (same && field.value !== field.defaultValue) same.value = field.value;
    }
    for (const opened of part.querySelectorAll("details[open][id]")) next.querySelector(`#${CSS.escape(opened.id)}`)?.setAttribute("open", "");
  },
};

// --- Moving seats on the plan

const plan = {
  columns: 16,
  rows: 12,
  dragged: null,

  begin(list) {
    list.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      const seat = event.target.closest("[data-seat]");
      if (!step || !seat) return;
      event.preventDefault();
      this.move(list, seat, Number(seat.dataset.column) + step[0], Number(seat.dataset.row) + step[1]);
    });
    list.addEventListener("dragstart", (event) => { this.dragged = event.target.closest("[data-seat]"); });
    list.addEventListener("dragover", (event) => event.preventDefault());
    list.addEventListener("drop", (event) => {
      event.preventDefault();
      if (!this.dragged) return;
      const box = list.getBoundingClientRect();
      const column = Math.floor((event.clientX - box.left + list.scrollLeft) / (list.scrollWidth / this.columns)) + 1;
      const row = Math.floor((event.clientY - box.top + list.scrollTop) / (list.scrollHeight / this.rows)) + 1;
      this.move(list, this.dragged, column, row);
      this.dragged = null;
    });
    // Whoever leaves the page at once has moved the seat all the same.
    addEventListener("pagehide", () => { for (const seat of list.querySelectorAll("[data-seat]")) if (seat.mustKeep) this.send(seat); });
  },

  // Where another seat stands, the two change places.
  move(list, seat, column, row) {
    column = Math.min(this.columns, Math.max(1, column));
    row = Math.min(this.rows, Math.max(1, row));
    const [formerColumn, formerRow] = [seat.dataset.column, seat.dataset.row];
    const other = list.querySelector(`[data-seat][data-column="${column}"][data-row="${row}"]`);
    if (other === seat) return;
    this.put(list, seat, column, row);
    if (other) this.put(list, other, Number(formerColumn), Number(formerRow));
  },

  put(list, seat, column, row) {
    seat.classList.replace(`column-${seat.dataset.column}`, `column-${column}`);
    seat.classList.replace(`row-${seat.dataset.row}`, `row-${row}`);
    seat.dataset.column = column;
    seat.dataset.row = row;
    this.keep(list, seat);
  },

  // It goes on though the page is left.
  send(seat) {
    return fetch(`/panel/seats/${encodeURIComponent(seat.dataset.seat)}/place`, {
      method: "POST", credentials: "same-origin", redirect: "manual", keepalive: true,
      body: new URLSearchParams({ csrf: document.body.dataset.csrf, column: seat.dataset.column, row: seat.dataset.row }),
    });
  },

  // One request for a seat at a time: the last place is what counts.
  async keep(list, seat) {
    if (seat.isKept) { seat.mustKeep = true; return; }
    seat.isKept = true;
    const said = document.querySelector("[data-arranged]");
    try {
      const answer = await this.send(seat);
      const isDone = answer.type === "opaqueredirect" || answer.ok;
      said.textContent = isDone ? `${seat.dataset.seat}: ${list.dataset.moved}, ${seat.dataset.column}, ${seat.dataset.row}` : list.dataset.failed;
    } catch {
      said.textContent = list.dataset.failed;
    }
    seat.isKept = false;
    if (seat.mustKeep) { seat.mustKeep = false; this.keep(list, seat); }
  },
};

// --- Small things

for (const button of document.querySelectorAll("[data-choose-all]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const boxes = [...document.querySelectorAll(`input[type=checkbox][name="${button.dataset.chooseAll}"]`)];
    const all = boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = !all;
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.done;
  });
}

for (const list of document.querySelectorAll("[data-plan]")) plan.begin(list);
live.begin();
