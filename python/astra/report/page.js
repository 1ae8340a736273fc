"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // > Colours: the tags of a model name the variables of the style sheet that it follows.

  const drawn = [];
  let opener = null;  // gets the focus when a dialog closes
  const isNarrow = matchMedia("(max-width: 40rem)");

  function recolour(view) {
    const style = getComputedStyle(root);
    for (const model of view.model.references()) {
      // On a phone the tools would take a fifth of the width, and there is room for few names.
      if (model.type === "Toolbar" || model.tags?.includes("wide-only")) model.visible = !isNarrow.matches;
      for (const tag of model.tags ?? []) {
        const [name, variable] = tag.split("=");
        if (!variable) continue;
        const value = style.getPropertyValue(`--${variable}`).trim();
        model[name] = name === "palette" ? value.split(",") : value;
      }
    }
  }

  // > Stars that figures show as points: what is known of them, and which one is chosen.

  const table = JSON.parse(byId("stars")?.textContent ?? "null");
  const known = new Map(table?.star.map((star, row) => [star, row]));
  const sources = [];
  let chosen = null;
  let choosing = false;

  // Gives the points of a figure their texts, and has them clicked.
  function connect(view) {
    for (const source of view.model.references()) {
      if (!source.tags?.includes("stars")) continue;
      const stars = Array.from(source.data.star);
      const texts = ["name", "dist", "m_ks", "snr", "pull", "flags"];
      const columns = texts.map((name) => [name, stars.map((star) => table[name][known.get(star)] ?? "")]);
      source.data = { ...source.data, ...Object.fromEntries(columns) };
      sources.push([source, stars]);
      ring(source, stars);
      const { indices } = source.selected.properties;
      source.selected.connect(indices.change, () => {
        const hit = source.selected.indices.map((place) => stars[place]);
        if (choosing) return;
        if (hit.length) choose(hit[0], hit.slice(1));
        else ring(source, stars);
      });
    }
  }

  function ring(source, stars) {
    choosing = true;
    source.selected.indices = stars.flatMap((star, place) => (star === chosen ? [place] : []));
    choosing = false;
  }

  // Rings a star in every figure that shows it, and opens it.
  function choose(star, others = []) {
    chosen = star;
    sources.forEach(([source, stars]) => ring(source, stars));
    const note = byId("chosen");
    note.hidden = star === null;
    if (star === null) return;
    const name = table.name[known.get(star)];
    note.querySelector("span").textContent = `${name} has a ring in each figure that shows it.`;
    open(star, others);
  }

  function open(star, others = []) {
    const row = known.get(star);
    const own = byId(`star-${table.task[row]}`);
    const dialog = own ?? describe(row, others);
    dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelectorAll("[data-figure]").forEach(draw);
  }

  function describe(row, others) {
    const of = (name) => table[name][row];
    const facts = {
      "distance": of("dist"), "M_Ks [mag]": of("m_ks"), "A_Ks [mag]": of("a_k"), "S/N per pixel": of("snr"),
      "parallax of Gaia": of("plx"), "pull against Gaia": of("pull"), "quality": of("flags"),
      "ra, dec [deg]": of("place"), "Gaia DR3": of("gaia"),
    };
    const dialog = byId("star-any");
    byId("name-any").textContent = of("name");
    dialog.querySelector("dl").replaceChildren(...Object.entries(facts).map(([name, value]) => {
      const pair = document.createElement("div");
      for (const [tag, text] of [["dt", name], ["dd", value]]) {
        pair.appendChild(document.createElement(tag)).textContent = text;
      }
      return pair;
    }));
    const more = dialog.querySelector(".more");
    if (table.page?.[row]) {
      const link = Object.assign(document.createElement("a"), { href: of("page"), textContent: "Its page" });
      more.replaceChildren(link, " has its spectrum, its draws and all of its columns.");
    } else {
      const command = Object.assign(document.createElement("code"), {
        textContent: `astra report --star ${of("id")}`,
      });
      more.replaceChildren("Its page, with its spectrum and its draws, is written by ", command, " ", copying(command));
    }
    const here = dialog.querySelector(".here");
    here.hidden = !others.length;
    here.replaceChildren("At the same place: ", ...others.slice(0, 8).flatMap((star) => [nameOf(star), " "]));
    return dialog;
  }

  function copying(command) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(command);
      await navigator.clipboard?.writeText(command.textContent).catch(() => {});
      button.textContent = "Copied";
    });
    return button;
  }

  function nameOf(star) {
    const text = table.name[known.get(star)];
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.addEventListener("click", () => {
      byId("star-any").close();
      choose(star);
    });
    return button;
  }

  if (table) {
    const find = byId("find");
    const input = byId("star-name");
    find.hidden = false;
    input.addEventListener("focus", () => {
      if (byId("star-names").childElementCount) return;
      const names = [...new Set(table.name)].sort();
      byId("star-names").append(...names.map((name) => new Option(name, name)));
    });
    find.addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = input.value.trim().toLowerCase();
      const rows = table.name.flatMap((name, row) => (name.toLowerCase() === wanted ? [row] : []));
      byId("found").textContent = rows.length
        ? "" : `${input.value} is not among the ${known.size} that figures show as points:`
          + ` astra report --star ${input.value} writes its page.`;
      if (!rows.length) return;
      opener = input;
      const [first, ...others] = rows.map((row) => table.star[row]);
      choose(first, others);
    });
    const note = byId("chosen");
    note.querySelector(".open").addEventListener("click", (event) => {
      opener = event.target;
      open(chosen);
    });
    note.querySelector(".clear").addEventListener("click", () => {
      choose(null);
      input.focus();
    });
  }

  // > Figures: each is drawn shortly before it comes into view.

  async function draw(place) {
    const source = byId(`data-${place.dataset.figure}`);
    if (!source || place.dataset.drawn) return;
    place.dataset.drawn = "begun";
    const views = await Bokeh.embed.embed_item(JSON.parse(source.textContent), place.id);
    for (const view of views) {
      if (table) connect(view);
      drawn.push(view);
      recolour(view);
    }
    place.dataset.drawn = "done";
  }

  const places = document.querySelectorAll("main [data-figure]");
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "800px" });
  places.forEach((place) => watcher.observe(place));
  addEventListener("beforeprint", () => places.forEach(draw));

  // > Light and dark

  const wantsDark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = byId("theme");

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : wantsDark.matches;
  }

  function show(theme) {
    if (theme) root.dataset.theme = theme;
    toggle.textContent = isDark() ? "Light theme" : "Dark theme";
    drawn.forEach(recolour);
  }

  toggle.hidden = false;
  toggle.addEventListener("click", () => show(isDark() ? "light" : "dark"));
  wantsDark.addEventListener("change", () => show());
  show();

  // > Stars: a dialog each; the browser closes it on Escape.

  for (const button of document.querySelectorAll("button.star")) {
    button.addEventListener("click", () => {
      const dialog = byId(`star-${button.dataset.star}`);
      opener = button;
      dialog.showModal();
      dialog.scrollTop = 0;
      dialog.querySelectorAll("[data-figure]").forEach(draw);
    });
  }
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector("button.close").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => opener?.focus());
  }

  // > Flags: choose which stars the table of outliers shows.

  const rows = [...document.querySelectorAll(".outliers tbody tr")];
  const flags = [...document.querySelectorAll("button.flag")];
  const status = byId("shown");
  const all = byId("all");
  const pressed = () => flags.find((button) => button.getAttribute("aria-pressed") === "true");

  function filter(flag) {
    for (const row of rows) row.hidden = Boolean(flag) && !row.dataset.flags.split(" ").includes(flag);
    for (const button of flags) button.setAttribute("aria-pressed", String(button.dataset.flag === flag));
    const shown = rows.filter((row) => !row.hidden).length;
    const count = flags.find((button) => button.dataset.flag === flag)?.dataset.count;
    all.hidden = !flag;
    status.textContent = flag
      ? `${shown} of the ${rows.length} listed stars have ${flag}, as ${count} of all spectra do.`
      : `All ${rows.length} listed stars are shown.`;
  }

  for (const button of flags) {
    button.addEventListener("click", () => {
      if (!status) return;
      const wasPressed = button === pressed();
      filter(wasPressed ? null : button.dataset.flag);
      if (!wasPressed) byId("outliers").scrollIntoView();
    });
  }
  all?.addEventListener("click", () => {
    const chosen = pressed();
    filter(null);
    chosen?.focus();
  });
})();
