"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // > Colours: the tags of a model name the variables of the style sheet that it follows.

  const drawn = [];
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

  // > Figures: each is drawn shortly before it comes into view.

  async function draw(place) {
    const source = byId(`data-${place.dataset.figure}`);
    if (!source || place.dataset.drawn) return;
    place.dataset.drawn = "begun";
    const views = await Bokeh.embed.embed_item(JSON.parse(source.textContent), place.id);
    for (const view of views) {
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

  let opener = null;
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
