// The console's own script: charts, the live mark, and the link that signs in. htmx does the rest.
"use strict";

const STATES = {
  pending: "--queued", running: "--running", succeeded: "--heard", failed: "--lost", timed_out: "--late",
  cancelled: "--quiet", dead: "--bad", unknown: "--warn",
};
const charts = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "#888";
}

// Stacked areas: the series of a state is drawn up to the sum of it and of those below.
function stacked(points) {
  const sums = points.times.map(() => 0);
  return [points.times, ...points.numbers.map((numbers) => numbers.map((number, at) => (sums[at] += number))).reverse()];
}

// The length of a slot: the bar of the last one needs room too.
function slot(times) {
  return times.length > 1 ? times[1] - times[0] : 60;
}

// Times of the axis in UTC, as everywhere in the console: the day at midnight, else the hour.
function clocks(_, splits) {
  return splits.map((split) => {
    const iso = new Date(split * 1_000).toISOString();
    const day = new Date(split * 1_000).toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" });
    return split % 86_400 === 0 ? day : iso.slice(11, 16);
  });
}

function draw(place) {
  const points = JSON.parse(place.dataset.chart);
  const key = points.states.join();
  const known = charts.get(place);
  if (known && known.key === key && known.plot.root.isConnected) {
    known.plot.setData(stacked(points));
    return;
  }
  if (known) known.plot.destroy();
  place.replaceChildren();
  if (!points.states.length) return charts.delete(place);
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const whole = (_, values) => values.map((value) => (Number.isInteger(value) ? value.toLocaleString("en") : ""));
  const plot = new uPlot({
    width: place.clientWidth, height: 132, padding: [10, 18, 0, 0], cursor: { show: false }, legend: { show: false },
    scales: { x: { range: (plot, low, high) => [low, high + slot(plot.data[0])] }, y: { range: (_, low, high) => [0, Math.max(1, high)] } },
    tzDate: (time) => uPlot.tzDate(new Date(time * 1_000), "Etc/UTC"),
    axes: [{ ...axis, space: 80, size: 26, values: clocks }, { ...axis, size: 44, values: whole }],
    series: [{}, ...points.states.map((state) => ({
      stroke: colour(STATES[state]), fill: colour(STATES[state]), width: 0, points: { show: false },
      paths: uPlot.paths.bars({ size: [0.9, 100], align: 1 }),
    })).reverse()],
  }, stacked(points), place);
  charts.set(place, { plot, key });
}

function drawAll() {
  for (const [place, chart] of charts) if (!place.isConnected) { chart.plot.destroy(); charts.delete(place); }
  document.querySelectorAll("[data-chart]").forEach(draw);
}

function redrawAll() {
  for (const chart of charts.values()) chart.plot.destroy();
  charts.clear();
  drawAll();
}

function tellLive(how, words) {
  const mark = document.getElementById("live-state");
  if (!mark) return;
  mark.dataset.live = how;
  mark.textContent = words;
}

// The player of a recorded talk: a line follows it over the timeline, and a click on the timeline plays from there.
// The file of a talk that goes on grows: the player takes the longer one where it is at rest, and keeps its place.
function player(takesNewest = false) {
  const audio = document.getElementById("voices");
  if (!audio || !audio.paused || audio.dataset.file === audio.getAttribute("src")) return audio;
  const at = audio.currentTime;
  if (at > 0 && !takesNewest) return audio; // its listener goes on from there
  audio.src = audio.dataset.file;
  audio.currentTime = at;
  return audio;
}

// Put the line where the player is; return how far that is, from 0 to 1.
function point(audio, line) {
  const part = audio.currentTime / Number(line.ownerSVGElement.dataset.seconds);
  for (const end of ["x1", "x2"]) line.setAttribute(end, `${(part * 100).toFixed(3)}%`);
  return part;
}

function follow() {
  const audio = document.getElementById("voices");
  const line = document.getElementById("cursor");
  if (!audio || !line) return;
  const scroll = document.getElementById("scroll");
  const part = point(audio, line);
  const at = part * scroll.scrollWidth;
  if (at < scroll.scrollLeft || at > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = at - scroll.clientWidth / 4;
  if (!audio.paused && !audio.ended) requestAnimationFrame(follow);
}

function playFrom(event) {
  const drawing = event.target.closest("#scroll > svg[data-seconds]");
  if (!drawing || event.target.closest("a")) return;
  const { left, width } = drawing.getBoundingClientRect();
  const audio = player(true);
  audio.currentTime = ((event.clientX - left) / width) * Number(drawing.dataset.seconds);
  audio.play();
}

// A link of `ringback up` has its code in the fragment, which no server and no log gets to see.
function followLink() {
  const form = document.getElementById("sign-in");
  const code = location.hash.slice(1);
  if (!form || !code.startsWith("rb_link_")) return;
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.token.value = code;
  form.submit();
}

document.addEventListener("htmx:after:swap", () => {
  drawAll();
  const audio = player();
  const line = document.getElementById("cursor");
  if (audio && line) point(audio, line); // the drawing is new, and its scale another
});
document.addEventListener("click", playFrom);
for (const news of ["play", "seeked"]) document.addEventListener(news, follow, true); // what happens to media does not bubble
document.addEventListener("ended", () => player(true), true);
document.addEventListener("htmx:sse:after:connection", () => tellLive("live", "live"));
document.addEventListener("htmx:sse:error", (event) => {
  if (event.detail?.status === 401) return location.reload();
  return tellLive("lost", "not live");
});
document.addEventListener("htmx:sse:close", () => tellLive("lost", "not live"));
document.addEventListener("signed-out", () => location.reload());
document.addEventListener("visibilitychange", () => { if (document.hidden) tellLive("paused", "paused"); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
addEventListener("resize", redrawAll);
// On a phone the bar is wider than the screen.
function showPage() {
  document.querySelector(".bar nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

followLink();
showPage();
drawAll();
player();
