// Hover values, logarithmic axes, light and dark. The page is whole without it.
(() => {
  const root = document.documentElement;
  const short = (v) => v === 0 ? "0" : Math.abs(v) >= 1e4 ? Math.round(v).toLocaleString("en") : Math.abs(v) < 1e-3 ? v.toExponential(2) : String(+v.toPrecision(4));

  const theme = document.getElementById("theme");
  if (["#dark", "#light"].includes(location.hash)) root.dataset.theme = location.hash.slice(1);
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme.hidden = false;
  theme.onclick = () => { root.dataset.theme = isDark() ? "light" : "dark"; };

  for (const button of document.querySelectorAll("button.log")) {
    button.hidden = false;
    button.onclick = () => {
      const log = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", log);
      const [linear, logarithmic] = button.closest("figure").querySelectorAll("svg");
      linear.toggleAttribute("hidden", log);
      logarithmic.toggleAttribute("hidden", !log);
    };
  }

  for (const svg of document.querySelectorAll("svg[data-hover]")) {
    const { x, y, unit, lines } = JSON.parse(svg.dataset.hover);
    const figure = svg.closest("figure");
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", y[2]);
    cursor.setAttribute("y2", y[3]);
    figure.append(tip);
    const leave = () => { cursor.remove(); tip.hidden = true; };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const at = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      if (at < x[2] - 6 || at > x[3] + 6) return leave();
      const wanted = x[0] + (at - x[2]) / (x[3] - x[2]) * (x[1] - x[0]);
      const near = (xs) => xs.reduce((best, v, i) => Math.abs(v - wanted) < Math.abs(xs[best] - wanted) ? i : best, 0);
      const step = lines[0].x[near(lines[0].x)];
      tip.replaceChildren(Object.assign(document.createElement("b"), { textContent: `${unit} ${short(step)}` }));
      for (const line of lines) {
        const value = line.y[near(line.x)];
        tip.append(document.createElement("br"), `${line.name} ${value === null ? "not a number" : short(value)}`);
      }
      const place = x[2] + (step - x[0]) / (x[1] - x[0]) * (x[3] - x[2]);
      cursor.setAttribute("x1", place);
      cursor.setAttribute("x2", place);
      svg.append(cursor);
      tip.hidden = false;
      const outer = figure.getBoundingClientRect();
      const left = event.clientX - outer.left + 14;
      tip.style.left = `${Math.max(4, left + tip.offsetWidth > outer.width ? left - tip.offsetWidth - 28 : left)}px`;
      tip.style.top = `${event.clientY - outer.top + 12}px`;
    });
    svg.addEventListener("pointerleave", leave);
  }
})();
